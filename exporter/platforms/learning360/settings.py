"""What a target on 360Learning is configured with, for either version of the API, and how it is reached."""

import time
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field, SecretStr

from exporter.api.auth import ClientCredentials, HeaderKey
from exporter.api.client import Access
from exporter.settings import Choice, CollectorSettings, CollectorsSettings, FilePath, OnOff, Secret, TargetSettings

V1_KEYS = ("company_id", "api_key", "api_key_file")
V2_KEYS = ("client_id", "client_secret", "client_secret_file")
V2_COLLECTORS = ("classrooms", "skills", "projects")

Identifier = Annotated[str, Field(pattern=r"^[0-9A-Za-z_-]{1,100}$")]
Switch = Annotated[CollectorSettings, OnOff]


class CourseChoice(Choice):
    """Which courses have series of their own; the others are added up."""

    top: int = Field(
        100, ge=1, description="number of courses: those with the most attempts active in the last 30 days"
    )
    ids: tuple[Identifier, ...] | None = Field(
        None,
        min_length=1,
        description="ids of the courses, instead of top; one without attempts that the platform does not list either "
        "has no series",
    )


class AttemptsSettings(CollectorSettings):
    """The collector of course attempts."""

    courses: CourseChoice = Field(
        CourseChoice(),
        description="courses with series of their own: {top: 100} for those with the most attempts active in the last "
        "30 days, or {ids: [...]} for those listed; the others are added up",
    )


class Learning360Collectors(CollectorsSettings):
    """What to collect from 360Learning."""

    users: Switch = CollectorSettings()
    courses: Switch = CollectorSettings()
    groups: Switch = CollectorSettings()
    attempts: Annotated[AttemptsSettings, OnOff] = AttemptsSettings()
    paths: Switch = CollectorSettings()
    path_stats: Switch = CollectorSettings()
    classrooms: Switch = CollectorSettings()
    skills: Switch = CollectorSettings()
    projects: Switch = CollectorSettings()


class Learning360Settings(TargetSettings):
    """A company's platform on 360Learning."""

    credentials: ClassVar[tuple[str, ...]] = ("client_secret", "api_key")

    platform: Literal["learning360"]
    requests_per_second: float = Field(5.0, gt=0, le=100_000, description="average pace of requests to the platform")
    concurrency: int = Field(4, ge=1, le=100, description="requests to the platform at the same time")
    api_version: Literal["v1", "v2"] = Field("v2", description="version of the API; v1 is deprecated")
    client_id: Identifier | None = Field(None, description="v2: id of the API credential")
    client_secret: SecretStr | None = Field(None, description="v2: secret of the API credential")
    client_secret_file: FilePath | None = Field(None, description="v2: file that holds the secret")
    company_id: Identifier | None = Field(None, description="v1: id of the company")
    api_key: SecretStr | None = Field(None, description="v1: API key")
    api_key_file: FilePath | None = Field(None, description="v1: file that holds the API key")
    collectors: Learning360Collectors = Learning360Collectors()

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield also what the API version lacks, and the keys and collectors that only the other version has."""
        yield from super().problems()
        if self.api_version == "v2":
            if self.client_id is None:
                yield "client_id", "client_id is missing; give the id of the API credential"
            yield from self.missing_secret("client_secret")
            yield from self._foreign_keys(V1_KEYS, "v1")
            return
        if self.company_id is None:
            yield "company_id", "company_id is missing; give the id of the company"
        yield from self.missing_secret("api_key")
        yield from self._foreign_keys(V2_KEYS, "v2")
        for name in V2_COLLECTORS:
            if getattr(self.collectors, name).enabled:
                yield f"collectors.{name}", "API v1 has no such list; turn it off, or set api_version: v2"

    def _foreign_keys(self, keys: tuple[str, ...], version: str) -> Iterator[tuple[str, str]]:
        for key in keys:
            if getattr(self, key) is not None:
                yield key, f"belongs to API {version}; remove it, or set api_version: {version}"


def access(settings: Learning360Settings) -> Access:
    """Reach the API: v2 with OAuth2 client credentials, v1 with its key in headers (never in the URL)."""
    if settings.api_version == "v1":
        key = HeaderKey(
            "X-apiKey", settings.required_secret("api_key"), others={"X-company-id": settings.company_id or ""}
        )
        return Access(f"{settings.url}/api/v1", key)
    credentials = ClientCredentials(
        f"{settings.url}/api/v2/oauth2/token",
        Secret(settings.client_id or ""),
        settings.required_secret("client_secret"),
        time.monotonic,
    )
    return Access(f"{settings.url}/api/v2", credentials, {"360-api-version": "v2.0"})
