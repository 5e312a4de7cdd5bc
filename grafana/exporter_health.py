"""The exporter itself: polling, the platforms' replies, and the process."""

from typing import Any

from grafana.dashboard import Row, dashboard
from grafana.fields import ONE_IS_GOOD, ZERO_IS_GOOD, Colour, Steps
from grafana.panels import CHART_HEIGHT, Query, bars, lines, stat
from grafana.queries import of_exporter, series, total
from grafana.well import can_it_be_trusted, paused

STATE_COLOURS = {
    "ok": Colour.GOOD,
    "pending": Colour.MUTED,
    "rate_limited": Colour.WARNING,
    "incomplete": Colour.WARNING,
    "unauthorized": Colour.BAD,
}


def rate(selector: str) -> str:
    """Per-second rate of a counter, over the window that Grafana chooses for the step."""
    return f"rate({selector}[$__rate_interval])"


def build() -> dict[str, Any]:
    """Return the dashboard as JSON."""
    rows = [_well(), _polling(), _requests(), _process(), can_it_be_trusted()]
    return dashboard(
        "exporter-health",
        "Engagement / Exporter health",
        "The exporter itself: whether it polls on time, what the platforms answer, and what it costs.",
        rows,
    )


def _well() -> Row:
    return Row(
        "Is it well?",
        [
            stat(
                "Scrapes",
                "Whether Prometheus reached the exporter at its last scrape. It says nothing about the platforms.",
                Query(of_exporter("up"), "{{instance}}"),
                colour=ONE_IS_GOOD,
                words={0: "down", 1: "up"},
                width=2,
                no_value="not scraped",
            ),
            stat(
                "Failing collectors",
                "Collectors whose last run gave no complete result.",
                Query(total(f"{series('engagement_collector_up')} == bool 0")),
                colour=ZERO_IS_GOOD,
                words={0: "none"},
                width=3,
            ),
            stat(
                "Scheduler",
                "Time since the scheduler last gave a sign of life, which it does every few seconds: as old as the "
                "scrape.",
                Query(f"max(time() - {of_exporter('engagement_scheduler_heartbeat_timestamp_seconds')})"),
                unit="s",
                decimals=0,
                colour=Steps(Colour.GOOD, ((120, Colour.WARNING), (300, Colour.BAD))),
                width=3,
            ),
            stat(
                "Configuration",
                "Whether the configuration was last loaded without an error. A refused one leaves the old in force.",
                Query(f"min({of_exporter('engagement_config_last_reload_successful')})"),
                colour=ONE_IS_GOOD,
                words={0: "refused", 1: "loaded"},
                width=3,
            ),
            stat(
                "Configuration loaded",
                "Time since a configuration was last loaded without an error.",
                Query(f"time() - min({of_exporter('engagement_config_last_reload_success_timestamp_seconds')})"),
                unit="s",
                decimals=0,
                width=3,
            ),
            stat(
                "Series dropped",
                "Series left out of the last results: over the target's max_series, duplicate, or illegal. Whole "
                "families are left out, so that no sum is wrong.",
                Query(total(series("engagement_series_dropped"))),
                colour=Steps(Colour.GOOD, ((1, Colour.WARNING),)),
                words={0: "none"},
                width=3,
            ),
            stat(
                "Unreadable values",
                "Values in the records of the last results that could not be read, such as a date in the year 20226. "
                "No series counts them; the log names the records.",
                Query(total(series("engagement_collector_unreadable_values"))),
                colour=Steps(Colour.GOOD, ((1, Colour.WARNING),)),
                words={0: "none"},
                width=3,
            ),
            stat(
                "Cut labels",
                "Label values of the last results that were longer than 256 characters, such as a name, and were cut.",
                Query(total(series("engagement_collector_cut_labels"))),
                words={0: "none"},
                width=2,
            ),
            stat(
                "Version",
                "The version of the running exporter.",
                Query(of_exporter("engagement_build_info"), "{{version}}"),
                name_only=True,
                width=2,
            ),
        ],
    )


def _polling() -> Row:
    return Row(
        "Polling",
        [
            lines(
                "Collectors by state",
                "How many collectors are in each state after their last run. States that no collector is in are left "
                "out.",
                Query(f"{total(series('engagement_collector_state'), 'state')} > 0", "{{state}}"),
                colours=STATE_COLOURS,
                stacked=True,
                steps=True,
                width=8,
            ),
            lines(
                "Runs per minute",
                "All runs, failed ones, and runs that the scheduler did not start: overlap (the one before "
                "was still going), missed (the process was too busy or asleep), paused (the platform had asked for a "
                "pause).",
                Query(f"60 * {total(rate(series('engagement_collector_runs_total')))}", "runs"),
                Query(f"60 * {total(rate(series('engagement_collector_failures_total')))}", "failed"),
                Query(
                    f"60 * {total(rate(series('engagement_collector_skipped_runs_total')), 'reason')}",
                    "skipped: {{reason}}",
                ),
                colours={"runs": Colour.NEUTRAL, "failed": Colour.BAD},
                width=8,
            ),
            lines(
                "Duration of the last run",
                "How long each target's slowest collector took. A run that comes near its interval cannot keep pace.",
                Query(f"max by (target) ({series('engagement_collector_duration_seconds')})", "{{target}}"),
                unit="s",
                width=8,
            ),
        ],
    )


def _requests() -> Row:
    buckets = total(rate(of_exporter("engagement_api_request_duration_seconds_bucket")), "le", "platform")
    answered = total(rate(of_exporter("engagement_api_request_duration_seconds_count")), "platform")
    increase = f"increase({series('engagement_api_requests_total')}[$__range])"
    return Row(
        "Requests to the platforms",
        [
            lines(
                "Requests per minute",
                "By the status code of the reply; error when there was none.",
                Query(f"60 * {total(rate(series('engagement_api_requests_total')), 'code')}", "{{code}}"),
                colours={"200": Colour.GOOD, "429": Colour.WARNING, "401": Colour.BAD, "error": Colour.BAD},
                stacked=True,
                width=8,
            ),
            lines(
                "Retries per minute",
                "Requests sent again after a failure that may pass.",
                Query(f"60 * {total(rate(series('engagement_api_retries_total')), 'target')}", "{{target}}"),
                width=8,
            ),
            lines(
                "Slow replies",
                "The time within which 95 % of the replies began, by platform. Estimated from buckets; the chosen "
                "targets do not narrow it.",
                Query(f"histogram_quantile(0.95, {buckets}) and on (platform) {answered} > 0", "{{platform}}"),
                unit="s",
                width=8,
            ),
            bars(
                "Requests by endpoint",
                "Requests within the chosen time range by the path template of the endpoint: the ten with the most.",
                Query(f"topk(10, round({total(increase, 'endpoint')}))", "{{endpoint}}"),
                width=16,
            ),
            paused(width=8, height=CHART_HEIGHT),
        ],
    )


def _process() -> Row:
    return Row(
        "Process",
        [
            lines(
                "CPU",
                "Share of one core that the process uses.",
                Query(rate(of_exporter("process_cpu_seconds_total")), "{{instance}}"),
                unit="percentunit",
                width=6,
            ),
            lines(
                "Memory",
                "Resident memory of the process.",
                Query(of_exporter("process_resident_memory_bytes"), "{{instance}}"),
                unit="bytes",
                width=6,
            ),
            lines(
                "Open files",
                "Open file descriptors of the process, sockets among them.",
                Query(of_exporter("process_open_fds"), "{{instance}}"),
                width=6,
            ),
            lines(
                "Series exposed",
                "Samples of the platforms on the page, by target.",
                Query(total(series("engagement_collector_samples"), "target"), "{{target}}"),
                stacked=True,
                width=6,
            ),
        ],
    )
