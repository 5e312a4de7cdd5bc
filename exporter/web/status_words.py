"""What the states mean to an operator, in words, and lengths of time as people say them."""

from dataclasses import dataclass

from exporter.errors import State
from exporter.snapshot import Entry

SUMMARIES = {
    State.PENDING: "Waiting",
    State.OK: "Up to date",
    State.UNAUTHORIZED: "Credential refused",
    State.FORBIDDEN: "Right missing",
    State.RATE_LIMITED: "Told to wait",
    State.UNREACHABLE: "Unreachable",
    State.TIMEOUT: "Too slow",
    State.SERVER_ERROR: "Platform error",
    State.INVALID_RESPONSE: "Unexpected reply",
    State.INCOMPLETE: "Incomplete list",
    State.INTERNAL_ERROR: "Bug in the collector",
}

MEANINGS = {
    State.PENDING: "The first run has not ended yet.",
    State.OK: "The last run gave a complete result.",
    State.UNAUTHORIZED: "The platform does not accept the credential.",
    State.FORBIDDEN: "The credential is accepted but may not read this.",
    State.RATE_LIMITED: "The platform asked for a pause before it answers again.",
    State.UNREACHABLE: "No reply came from the platform.",
    State.TIMEOUT: "No complete reply came in time.",
    State.SERVER_ERROR: "The platform answered with an error of its own.",
    State.INVALID_RESPONSE: "The reply is not what the API documents.",
    State.INCOMPLETE: "A list did not arrive whole, so nothing of it was counted.",
    State.INTERNAL_ERROR: "The collector itself failed; no fault of the platform.",
}

NO_VALUES = "There are no values yet."
CUT_OFF_REMEDY = (
    "wait for the next run; if that is cut off too, find out what ends the exporter, such as a memory limit or a"
    " liveness probe that gives it too little time"
)
LATE = "Runs succeed too seldom: the values are older than two intervals."
LATE_REMEDY = (
    "look for skipped runs here and in the log: if paused, wait for the platform; if overlapping, lengthen the interval"
)
DROPPED = "The values are complete but for series that were left out: over max_series, duplicate or illegal."
DROPPED_REMEDY = "raise max_series of the target, or choose less to collect"


@dataclass(frozen=True, slots=True)
class Words:
    """A state in two or three words, what it means, and what to do about it (empty for nothing)."""

    summary: str
    meaning: str
    remedy: str = ""


def words(entry: Entry, is_late: bool) -> Words:
    """Say how a collector is; of several troubles the gravest: a failed run, late values, series left out."""
    if entry.last and entry.state is not State.OK:
        return Words(SUMMARIES[entry.state], f"{MEANINGS[entry.state]} {_what_is_served(entry)}", entry.last.remedy)
    if is_late:
        return Words("Late", f"{LATE} {_what_is_served(entry)}", LATE_REMEDY)
    if entry.published and entry.published.series_dropped:
        names = ", ".join(family.name for family in entry.published.left_out)
        return Words("Series left out", f"{DROPPED} Without room: {names}." if names else DROPPED, DROPPED_REMEDY)
    if entry.last is None and entry.cut_off:
        times = "" if entry.cut_off == 1 else f", {entry.cut_off} times in a row"
        return Words("Cut off", f"The exporter ended before the first run did{times}. {NO_VALUES}", CUT_OFF_REMEDY)
    return Words(SUMMARIES[entry.state], MEANINGS[entry.state])


def _what_is_served(entry: Entry) -> str:
    if entry.published and entry.windows_end_at < entry.published.ends_at:
        return "The last complete values are still served, but for those of calendar windows that have ended since."
    if entry.published:
        return "The last complete values are still served."
    if entry.last_success_at is None:
        return NO_VALUES
    return "The last complete values grew older than max_age and are no longer served."


def span(seconds: float) -> str:
    """Say a length of time in words, in its largest unit, rounded down."""
    for unit, unit_seconds in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * unit_seconds:
            return f"{int(seconds // unit_seconds)} {unit}"
    return f"{max(0, int(seconds))} s"


def duration(seconds: float) -> str:
    """Say how long something took, in two digits or more."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 10 else span(seconds)
