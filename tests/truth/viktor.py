"""What the VIKTOR series should read, counted from the raw people, workspaces, visits and audit events."""

from collections import Counter
from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta

from exporter.demo.engineering import AUDIT_EVENT_TYPES, Engineering, Person, Visit, Workspace, is_member

Key = tuple[str, tuple[tuple[str, str], ...]]
Samples = dict[Key, float]

DEFAULT_TYPES = ("PROJECT", "PUBLIC")


def expected(
    engineering: Engineering,
    now: datetime,
    types: Collection[str] = DEFAULT_TYPES,
    event_types: Collection[str] = AUDIT_EVENT_TYPES,
) -> Samples:
    """Every sample of every collector at `now`, without the label `target`.

    `types` are the workspace types with series of their own, `event_types` the audit events asked for.
    """
    midnight = datetime.combine(now.date(), time(), UTC)
    samples = {
        **_people("users", engineering, now, [p for p in engineering.people(now) if _is_present(p, now)]),
        **_people("developers", engineering, now, _developers(engineering, now)),
        **_workspaces(engineering, now, types),
        **_apps(engineering, now),
        **{
            _key("viktor_statistics_newest_point_timestamp_seconds", scope=scope): midnight.timestamp()
            for scope in ("users", "developers", "workspaces")
        },
        **_audit_events(engineering, midnight, event_types),
    }
    return {**samples, **_window_starts(now, samples)}


def _key(name: str, /, **labels: str) -> Key:
    return name, tuple(sorted(labels.items()))


def windows(today: date) -> dict[str, tuple[date, date]]:
    """The first day of every calendar window, and the day after its last."""
    tomorrow, monday = today + timedelta(days=1), today - timedelta(days=today.weekday())
    first = today.replace(day=1)
    return {
        "today": (today, tomorrow),
        "yesterday": (today - timedelta(days=1), today),
        "this_week": (monday, tomorrow),
        "last_week": (monday - timedelta(days=7), monday),
        "this_month": (first, tomorrow),
        "last_month": ((first - timedelta(days=1)).replace(day=1), first),
    }


def _window_starts(now: datetime, samples: Samples) -> Samples:
    """Of every window that has a number."""
    named = {value for _, labels in samples for label, value in labels if label == "window"}
    return {
        _key("viktor_window_start_timestamp_seconds", window=window): datetime.combine(first, time(), UTC).timestamp()
        for window, (first, _) in windows(now.date()).items()
        if window in named
    }


def _visits(engineering: Engineering, now: datetime, window: str) -> list[Visit]:
    first, end = windows(now.date())[window]
    everything = engineering.visits(datetime.combine(first, time(), UTC), now)
    return [visit for visit in everything if visit.at.date() < end]


def _is_present(person: Person, now: datetime) -> bool:
    return person.joined_at <= now and (person.left_at is None or person.left_at > now)


def _developers(engineering: Engineering, now: datetime) -> list[Person]:
    return [person for person in engineering.people(now) if person.is_developer and _is_present(person, now)]


def _people(kind: str, engineering: Engineering, now: datetime, present: list[Person]) -> Samples:
    """Users work in PROJECT and TEST workspaces, developers (as such) in DEVELOPMENT ones."""
    where = ("DEVELOPMENT",) if kind == "developers" else ("PROJECT", "TEST")
    samples: Samples = {_key(f"viktor_{kind}"): len(present)}
    for window in windows(now.date()):
        visits = [v for v in _visits(engineering, now, window) if kind == "users" or v.person.is_developer]
        daily = {(visit.at.date(), visit.person.id) for visit in visits if visit.workspace.type in where}
        unique = {visit.person.id for visit in visits}
        if daily:
            samples[_key(f"viktor_daily_active_{kind}", window=window)] = len(daily)
        if unique and window in ("this_month", "last_month"):
            samples[_key(f"viktor_monthly_active_{kind}", window=window)] = len(unique)
    return samples


def _workspaces(engineering: Engineering, now: datetime, types: Collection[str]) -> Samples:
    everything = engineering.workspaces(now)
    samples: Samples = {}
    for type_, number in Counter(workspace.type for workspace in everything).items():
        samples[_key("viktor_workspaces", type=type_)] = number
    for workspace in everything:
        own = _workspace(engineering, now, workspace) if workspace.type in types else {}
        samples |= own
        if own:
            samples[
                _key(
                    "viktor_workspace_info",
                    workspace=str(workspace.id),
                    name=workspace.name,
                    type=workspace.type,
                    visibility=workspace.visibility,
                )
            ] = 1
    return samples


def _workspace(engineering: Engineering, now: datetime, workspace: Workspace) -> Samples:
    """Nobody is a member of a PUBLIC workspace; an archived one has no users, only the past of its months."""
    samples: Samples = {}
    if workspace.type != "PUBLIC" and (workspace.archived_at is None or workspace.archived_at > now):
        members = [p for p in engineering.people(now) if _is_present(p, now) and is_member(p, workspace)]
        samples[_key("viktor_workspace_users", workspace=str(workspace.id))] = len(members)
    for window in ("this_month", "last_month"):
        labels = {"workspace": str(workspace.id), "window": window}
        visits = [v for v in _visits(engineering, now, window) if v.workspace == workspace]
        if visits:
            unique = {visit.person.id for visit in visits}
            daily = {(visit.at.date(), visit.person.id) for visit in visits}
            samples[_key("viktor_workspace_monthly_active_users", **labels)] = len(unique)
            samples[_key("viktor_workspace_daily_active_users", **labels)] = len(daily)
    return samples


def _apps(engineering: Engineering, now: datetime) -> Samples:
    kinds = Counter(
        (
            app.published_at is not None and app.published_at <= now,
            app.archived_at is not None and app.archived_at <= now,
        )
        for app in engineering.apps(now)
    )
    return {
        _key("viktor_apps", published=str(published).lower(), archived=str(archived).lower()): number
        for (published, archived), number in kinds.items()
    }


def _audit_events(engineering: Engineering, midnight: datetime, event_types: Collection[str]) -> Samples:
    yesterday = engineering.audit_events(midnight - timedelta(days=1), midnight - timedelta(microseconds=1))
    counted = Counter(event.event_type for event in yesterday)
    return {
        _key("viktor_audit_events", event_type=event_type, window="yesterday"): counted[event_type]
        for event_type in event_types
    }
