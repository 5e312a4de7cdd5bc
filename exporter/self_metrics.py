"""What the exporter says about itself: one table of families, and the live counters of its requests to platforms."""

import platform
from collections.abc import Callable, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
)

from exporter import __version__
from exporter.errors import State
from exporter.metrics import CUT_MARK, MOST_LABEL_CHARACTERS, Family, Kind, info

_TARGET = ("target", "platform")
_COLLECTOR = (*_TARGET, "collector")
_LIMIT = (*_TARGET, "endpoint")
_BY_LIMIT = "endpoint is the path template where the platform limits each one by itself, else empty: all together."
STATES = ", ".join(State)

UP = Family(
    "engagement_up",
    "1 if the last run of every enabled collector of the target gave a complete result, else 0.",
    _TARGET,
)
COLLECTOR_UP = Family(
    "engagement_collector_up", "1 if the collector's last run gave a complete result, else 0.", _COLLECTOR
)
COLLECTOR_STATE = Family(
    "engagement_collector_state",
    f"What came of the collector's last run: exactly one state is 1, the others are 0. States: {STATES}.",
    (*_COLLECTOR, "state"),
)
LAST_SUCCESS = Family(
    "engagement_collector_last_success_timestamp_seconds",
    "When a complete result was last published (Unix time). Absent before the first one.",
    _COLLECTOR,
)
DURATION = Family(
    "engagement_collector_duration_seconds",
    "How long the collector's last run took. Absent before the first one.",
    _COLLECTOR,
)
INTERVAL = Family(
    "engagement_collector_interval_seconds", "Effective time between two runs of the collector.", _COLLECTOR
)
SAMPLES = Family(
    "engagement_collector_samples", "Samples in the result that is now exposed, 0 without one.", _COLLECTOR
)
RUNS = Family(
    "engagement_collector_runs_total", "Runs of the collector, failed ones included.", _COLLECTOR, Kind.COUNTER
)
FAILURES = Family(
    "engagement_collector_failures_total",
    "Runs of the collector that gave no complete result.",
    _COLLECTOR,
    Kind.COUNTER,
)
SKIPPED_RUNS = Family(
    "engagement_collector_skipped_runs_total",
    "Runs that the scheduler did not start: overlap (the one before was still going), missed (the process was too busy "
    "or asleep), paused (the platform had asked for a pause).",
    (*_COLLECTOR, "reason"),
    Kind.COUNTER,
)
SERIES_DROPPED = Family(
    "engagement_series_dropped",
    "Series of the last complete result that were not exposed: over the target's max_series, duplicate, or illegal.",
    _COLLECTOR,
)
UNREADABLE_VALUES = Family(
    "engagement_collector_unreadable_values",
    "Values in the records of the last complete result that could not be read, such as a date in the year 20226, a "
    "score of 105 or the learners of one course; no series counts them. Absent without a result. The log names "
    "endpoint, key and record.",
    _COLLECTOR,
)
CUT_LABELS = Family(
    "engagement_collector_cut_labels",
    f"Different label values of the last complete result that were cut to {MOST_LABEL_CHARACTERS} characters, "
    f"of which the last nine are {CUT_MARK} and what tells them apart. Absent without a result.",
    _COLLECTOR,
)
API_REQUESTS = Family(
    "engagement_api_requests_total",
    'Requests sent to the platform, by path template and status code of the reply; code="error" when there was none.',
    (*_TARGET, "endpoint", "code"),
    Kind.COUNTER,
)
API_REQUEST_DURATION = Family(
    "engagement_api_request_duration_seconds",
    "Time from sending a request until the headers of its reply, or its failure.",
    ("platform", "endpoint"),
    Kind.HISTOGRAM,
)
API_RETRIES = Family(
    "engagement_api_retries_total", "Requests sent again after a failure that may pass.", _TARGET, Kind.COUNTER
)
API_RATE_LIMIT_REMAINING = Family(
    "engagement_api_rate_limit_remaining",
    "Requests left in the platform's current window, from its last reply that said so. " + _BY_LIMIT,
    _LIMIT,
)
API_RATE_LIMIT = Family(
    "engagement_api_rate_limit",
    f"Requests allowed in one window, from the platform's last reply that said so. {_BY_LIMIT}",
    _LIMIT,
)
API_PAUSED_UNTIL = Family(
    "engagement_api_paused_until_timestamp_seconds",
    f"End of the pause that the platform asked for (Unix time), 0 without one. {_BY_LIMIT}",
    _LIMIT,
)
HEARTBEAT = Family(
    "engagement_scheduler_heartbeat_timestamp_seconds", "Moves every few seconds while the scheduler lives (Unix time)."
)
RELOAD_SUCCESSFUL = Family(
    "engagement_config_last_reload_successful", "1 if the configuration was last loaded without an error, else 0."
)
RELOAD_TIMESTAMP = Family(
    "engagement_config_last_reload_success_timestamp_seconds",
    "When a configuration was last loaded without an error (Unix time).",
)
BUILD_INFO = info("engagement_build_info", "The running exporter: always 1.", ("version", "revision", "python_version"))

FAMILIES = (
    UP,
    COLLECTOR_UP,
    COLLECTOR_STATE,
    LAST_SUCCESS,
    DURATION,
    INTERVAL,
    SAMPLES,
    RUNS,
    FAILURES,
    SKIPPED_RUNS,
    SERIES_DROPPED,
    UNREADABLE_VALUES,
    CUT_LABELS,
    API_REQUESTS,
    API_REQUEST_DURATION,
    API_RETRIES,
    API_RATE_LIMIT_REMAINING,
    API_RATE_LIMIT,
    API_PAUSED_UNTIL,
    HEARTBEAT,
    RELOAD_SUCCESSFUL,
    RELOAD_TIMESTAMP,
    BUILD_INFO,
)

REQUEST_DURATION_BUCKETS_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class ApiMetrics:
    """The counters of requests, of all targets; they live in the registry given."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(API_REQUESTS.name, API_REQUESTS.help, API_REQUESTS.labels, registry=registry)
        self.retries = Counter(API_RETRIES.name, API_RETRIES.help, API_RETRIES.labels, registry=registry)
        self.request_duration = Histogram(
            API_REQUEST_DURATION.name,
            API_REQUEST_DURATION.help,
            API_REQUEST_DURATION.labels,
            buckets=REQUEST_DURATION_BUCKETS_SECONDS,
            registry=registry,
        )
        self.rate_limit_remaining = _gauge(API_RATE_LIMIT_REMAINING, registry)
        self.rate_limit = _gauge(API_RATE_LIMIT, registry)
        self.paused_until = _gauge(API_PAUSED_UNTIL, registry)
        self._pausable: dict[tuple[str, str], tuple[str, ...]] = {}

    def show_pauses(self, target: str, platform: str, until: Mapping[str, Callable[[], float]]) -> None:
        """Show at each scrape when the pauses of a target end, by endpoint, in the place of those shown before."""
        self.retries.labels(target, platform)
        self._forget_pauses(target, platform)
        self._pausable[target, platform] = tuple(until)
        for endpoint, paused_until in until.items():
            self.paused_until.labels(target, platform, endpoint).set_function(paused_until)

    def _forget_pauses(self, target: str, platform: str) -> None:
        for endpoint in self._pausable.pop((target, platform), ()):
            self.paused_until.remove(target, platform, endpoint)

    def forget_limits(self, target: str, platform: str) -> None:
        """Drop what the platform said about the limits of a client that is no longer used."""
        for gauge in (self.rate_limit, self.rate_limit_remaining):
            gauge.remove_by_labels({"target": target, "platform": platform})

    def forget(self, target: str, platform: str) -> None:
        """Drop all series of a target that is no longer configured."""
        self.forget_limits(target, platform)
        self.retries.remove(target, platform)
        self._forget_pauses(target, platform)
        self.requests.remove_by_labels({"target": target, "platform": platform})


def _gauge(family: Family, registry: CollectorRegistry) -> Gauge:
    return Gauge(family.name, family.help, family.labels, registry=registry)


class ProcessMetrics:
    """What concerns the process as a whole: its scheduler, its configuration, its version, and `process_*`, `python_*`.

    `revision` is the commit that was built, empty when nobody said.
    """

    def __init__(self, registry: CollectorRegistry, revision: str) -> None:
        self.heartbeat = _gauge(HEARTBEAT, registry)
        self.reload_successful = _gauge(RELOAD_SUCCESSFUL, registry)
        self.reload_timestamp = _gauge(RELOAD_TIMESTAMP, registry)
        build = {"version": __version__, "revision": revision, "python_version": platform.python_version()}
        Info(BUILD_INFO.name.removesuffix("_info"), BUILD_INFO.help, registry=registry).info(build)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
