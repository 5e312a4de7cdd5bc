"""How a Konstantly site is configured and reached."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from exporter.api.auth import HeaderKey
from exporter.api.client import Access
from exporter.evidence import Basis, Evidence
from exporter.settings import CollectorSettings, CollectorsSettings, FilePath, OnOff, TargetSettings


def sampled(endpoint: str) -> Basis:
    """Say that the reference shows a whole reply of the endpoint."""
    return Basis(endpoint, Evidence.SAMPLE, "the API reference (beta), read 2026-11: a reply and field tables")


class KonstantlyCollectors(CollectorsSettings):
    """The collectors of a Konstantly site."""

    statistics: Annotated[CollectorSettings, OnOff] = Field(CollectorSettings(), description="totals of the site")
    groups: Annotated[CollectorSettings, OnOff] = Field(
        CollectorSettings(), description="every group; one request per group"
    )
    users: Annotated[CollectorSettings, OnOff] = Field(CollectorSettings(), description="accounts by role")
    courses: Annotated[CollectorSettings, OnOff] = Field(
        CollectorSettings(), description="every course and its learners; one request per course"
    )


class KonstantlySettings(TargetSettings):
    """A Konstantly site; `url` is the site, or the whole address of its API when it has a path."""

    credentials: ClassVar[tuple[str, ...]] = ("api_key",)

    platform: Literal["konstantly"] = Field(description="a Konstantly site")
    api_key: SecretStr | None = Field(None, description="key of the site, from Settings > API")
    api_key_file: FilePath | None = Field(None, description="file that holds the key of the site")
    requests_per_second: float = Field(1.5, gt=0, le=100_000, description="average pace of requests to the site")
    collectors: KonstantlyCollectors = KonstantlyCollectors()

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield (key, message), also for a missing key: Konstantly answers nobody without one."""
        yield from super().problems()
        yield from self.missing_secret("api_key")


def access(settings: KonstantlySettings) -> Access:
    """Return the address of the site's API, its key, and the Content-Type that the reference wants on all requests."""
    api_path = "" if urlsplit(settings.url).path else "/openapi/v1"
    return Access(
        settings.url + api_path,
        HeaderKey("X-API-KEY", settings.required_secret("api_key")),
        {"Content-Type": "application/json"},
    )
