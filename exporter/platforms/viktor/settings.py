"""How a VIKTOR environment is configured and reached."""

import re
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, SecretStr

from exporter.api.auth import bearer
from exporter.api.client import Access
from exporter.settings import CollectorSettings, CollectorsSettings, FilePath, OnOff, TargetSettings

ADMIN = "admin user or admin developer of the organisation"
"""The roles that may view the activity dashboard, in VIKTOR's words."""

PAGE_LIMIT = 100

EVENT_TYPE = re.compile(r"[A-Z_]+\.[A-Z_]+")


def _event_type(text: str) -> str:
    """Check the form only: VIKTOR adds event types over time."""
    if not EVENT_TYPE.fullmatch(text):
        raise ValueError("write an event type as VIKTOR does, such as EDITOR.COMPUTE")
    return text


WorkspaceType = Literal["PROJECT", "DEVELOPMENT", "PUBLIC", "TEST"]
EventType = Annotated[str, AfterValidator(_event_type)]


class WorkspacesSettings(CollectorSettings):
    """Settings of the collector `workspaces`."""

    types: tuple[WorkspaceType, ...] = Field(
        ("PROJECT", "PUBLIC"),
        description="types of workspaces that have series of their own; a workspace of an unknown type always has",
    )


class AuditEventsSettings(CollectorSettings):
    """Settings of the collector `audit_events`."""

    event_types: tuple[EventType, ...] = Field(
        (), description="event types to count, such as EDITOR.COMPUTE; one request each"
    )


class ViktorCollectors(CollectorsSettings):
    """The collectors of a VIKTOR environment."""

    users: Annotated[CollectorSettings, OnOff] = Field(CollectorSettings(), description="users and their activity")
    developers: Annotated[CollectorSettings, OnOff] = Field(
        CollectorSettings(), description="developers and their activity"
    )
    workspaces: Annotated[WorkspacesSettings, OnOff] = Field(
        WorkspacesSettings(), description="every workspace, its users and their activity"
    )
    apps: Annotated[CollectorSettings, OnOff] = Field(CollectorSettings(), description="number of apps")
    audit_events: Annotated[AuditEventsSettings, OnOff] = Field(
        AuditEventsSettings(), description="yesterday's audit events by type"
    )


class ViktorSettings(TargetSettings):
    """A VIKTOR environment, such as https://bridges.viktor.ai."""

    credentials: ClassVar[tuple[str, ...]] = ("token",)

    platform: Literal["viktor"] = Field(description="a VIKTOR environment")
    token: SecretStr | None = Field(None, description="personal access token of an organisation admin")
    token_file: FilePath | None = Field(None, description="file that holds the personal access token")
    org_domain: str | None = Field(
        None, min_length=1, description="organisation whose statistics to read, where the environment serves several"
    )
    collectors: ViktorCollectors = ViktorCollectors()

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield (key, message), also for a missing token: VIKTOR answers nobody without one."""
        yield from super().problems()
        yield from self.missing_secret("token")
        audit_events = self.collectors.audit_events
        if audit_events.enabled and not audit_events.event_types:
            yield "collectors.audit_events", "has nothing to count; add event_types, such as [EDITOR.COMPUTE]"


def access(settings: ViktorSettings) -> Access:
    """Return the environment's address and its token."""
    return Access(settings.url, bearer(settings.required_secret("token")))
