"""What a target on a PYBOSSA server is configured with."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field, SecretStr

from exporter.evidence import Basis, Evidence
from exporter.settings import Choice, CollectorSettings, CollectorsSettings, FilePath, OnOff, TargetSettings


def recorded(endpoint: str) -> Basis:
    """Say that replies of the endpoint were recorded."""
    return Basis(
        endpoint, Evidence.RECORDING, "an unmodified PYBOSSA 4.0.3 server, 2026-11; other versions by their source"
    )


FAVORITES_BASIS = Basis(
    "/api/favorites",
    Evidence.REFERENCE,
    "docs.pybossa.com, API, Favorites; an unmodified PYBOSSA 4.0.3 server answered 401 to a wrong key, 2026-11",
)
"""Of the list, only that it is one is taken for granted."""

Switch = Annotated[CollectorSettings, OnOff]


class ProjectsSettings(CollectorSettings, Choice):
    """The collector of published projects, and which of them have series of their own.

    Ten series a project: the default leaves servers of ordinary size without `other`, so that no series comes and goes,
    and stays within `max_series` on any. Task runs of all time decide, whose ranks hardly ever change.
    """

    top: int = Field(
        1000,
        ge=1,
        description="number of projects with series of their own: those with the most task runs of all time; the "
        "others are added up",
    )
    ids: tuple[Annotated[int, Field(ge=1)], ...] | None = Field(
        None, min_length=1, description="ids of the projects with series of their own, instead of top"
    )


class PybossaCollectors(CollectorsSettings):
    """What to collect from a PYBOSSA server."""

    stats: Switch = CollectorSettings()
    globalstats: Switch = CollectorSettings()
    projects: Annotated[ProjectsSettings, OnOff] = ProjectsSettings()
    queues: Switch = CollectorSettings()


class PybossaSettings(TargetSettings):
    """A PYBOSSA server; most need no credential."""

    credentials: ClassVar[tuple[str, ...]] = ("api_key",)

    platform: Literal["pybossa"]
    api_key: SecretStr | None = Field(None, description="API key, for queues and for servers that ask to sign in")
    api_key_file: FilePath | None = Field(None, description="file that holds the API key")
    collectors: PybossaCollectors = PybossaCollectors()

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield also a problem when the queues are to be read without a key."""
        yield from super().problems()
        if self.collectors.queues.enabled and self.secret("api_key") is None:
            yield "collectors.queues", "needs an administrator's key; give api_key_file or api_key, or turn queues off"
