"""What a target on a PYBOSSA server is configured with."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field, SecretStr

from exporter.evidence import Basis, Evidence
from exporter.settings import CollectorSettings, CollectorsSettings, FilePath, OnOff, TargetSettings


def recorded(endpoint: str) -> Basis:
    """Say that replies of the endpoint were recorded."""
    return Basis(
        endpoint, Evidence.RECORDING, "an unmodified PYBOSSA 4.0.3 server, 2026-11; other versions by their source"
    )


Switch = Annotated[CollectorSettings, OnOff]


class PybossaCollectors(CollectorsSettings):
    """What to collect from a PYBOSSA server."""

    stats: Switch = CollectorSettings()
    globalstats: Switch = CollectorSettings()
    projects: Switch = CollectorSettings()
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
