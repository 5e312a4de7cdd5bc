"""The first and the last row of a dashboard about targets: is it well, and how far can its numbers be trusted?"""

from grafana_foundation_sdk.models.dashboard import Panel

from grafana.dashboard import Row, url_of
from grafana.fields import ONE_IS_GOOD, ZERO_IS_GOOD, Colour, Column, Steps
from grafana.panels import STAT_HEIGHT, TABLE_HEIGHT, Query, lines, stat, table
from grafana.queries import per, ratio, series, total

STALE_AFTER_INTERVALS = 2.5
HOUR_SECONDS = 3600
PLENTY_IS_GOOD = Steps(Colour.BAD, ((0.05, Colour.WARNING), (0.2, Colour.GOOD)))


def age(*matchers: str) -> str:
    """Seconds since each collector last published a complete result; none for one that never did."""
    return f"time() - {series('engagement_collector_last_success_timestamp_seconds', *matchers)}"


def intervals_old(*matchers: str) -> str:
    """The age of each collector's numbers, in its own intervals."""
    return f"({age(*matchers)}) / {series('engagement_collector_interval_seconds', *matchers)}"


def quota_left(*matchers: str) -> str:
    """Share of each target's request quota that is left in the current window."""
    return ratio(
        series("engagement_api_rate_limit_remaining", *matchers), series("engagement_api_rate_limit", *matchers)
    )


def is_it_well(*matchers: str, tells_quota: bool = True) -> Row:
    """The same first row everywhere; `matchers` choose the platform, which `tells_quota` or not."""
    return Row(
        "Is it well?",
        [
            stat(
                "State of the targets",
                "Well: the last run of every collector of the target gave a complete result. That says nothing about "
                "how much the platform is used. A failing target keeps its last complete numbers for a day by "
                "default.",
                Query(series("engagement_up", *matchers), "{{target}}"),
                colour=ONE_IS_GOOD,
                words={0: "failing", 1: "well"},
                width=8,
                no_value="no answer",
                link=("Exporter health", url_of("exporter-health")),
            ),
            stat(
                "Failing collectors",
                "Collectors whose last run gave no complete result. The table at the bottom has the reasons, the "
                "exporter's own status page the remedies.",
                Query(total(f"{series('engagement_collector_up', *matchers)} == bool 0")),
                colour=ZERO_IS_GOOD,
                words={0: "none"},
            ),
            stat(
                "Stale collectors",
                f"Collectors whose numbers are older than {STALE_AFTER_INTERVALS:g} of their own intervals. One that "
                "never succeeded has no numbers: it counts as failing, not as stale.",
                Query(total(f"{intervals_old(*matchers)} > bool {STALE_AFTER_INTERVALS:g}")),
                colour=Steps(Colour.GOOD, ((1, Colour.WARNING),)),
                words={0: "none"},
            ),
            stat(
                "Oldest numbers",
                "Age of the oldest complete result that is shown. Intervals range from minutes to hours, so an hour "
                "can be normal. The platform's own delay comes on top.",
                Query(f"max({age(*matchers)})"),
                unit="s",
                decimals=0,
                colour=Steps(Colour.GOOD, ((12 * HOUR_SECONDS, Colour.WARNING), (24 * HOUR_SECONDS, Colour.BAD))),
            ),
            _quota_left(*matchers) if tells_quota else paused(*matchers),
        ],
    )


def paused(*matchers: str, width: int = 4, height: int = STAT_HEIGHT) -> Panel:
    """For how long the platform asked to be left alone."""
    until = series("engagement_api_paused_until_timestamp_seconds", *matchers)
    return stat(
        "Paused for",
        "How long the exporter still waits before it asks again, because the platform said so.",
        Query(f"max(clamp_min({until} - time(), 0))"),
        unit="s",
        decimals=0,
        colour=Steps(Colour.GOOD, ((1, Colour.WARNING), (HOUR_SECONDS, Colour.BAD))),
        words={0: "no"},
        width=width,
        height=height,
    )


def _quota_left(*matchers: str) -> Panel:
    return stat(
        "Quota left",
        "The smallest share of a platform's request quota that was left in its current window, by its last reply "
        "that said so. Konstantly and PYBOSSA say it.",
        Query(f"min({quota_left(*matchers)})"),
        unit="percentunit",
        decimals=0,
        colour=PLENTY_IS_GOOD,
        no_value="unknown",
    )


def can_it_be_trusted(*matchers: str, tells_quota: bool = True) -> Row:
    """The same last row everywhere: state and age in detail, and the quota of a platform that `tells_quota`."""
    panels = [
        table(
            "Collectors",
            "What came of each collector's last run, how old the numbers are that it shows, and how many series "
            "they make. The age falls only when a complete result was published.",
            per(f"{series('engagement_collector_state', *matchers)} == 1", "collector", "state"),
            {"target": "Target", "collector": "Collector", "state": "State"},
            [
                Column("Age", per(age(*matchers), "collector"), "s", 0),
                Column(
                    "Interval",
                    per(series("engagement_collector_interval_seconds", *matchers), "collector"),
                    "s",
                    0,
                ),
                Column(
                    "Intervals",
                    per(intervals_old(*matchers), "collector"),
                    "none",
                    1,
                    steps=Steps(Colour.GOOD, ((STALE_AFTER_INTERVALS, Colour.WARNING), (10, Colour.BAD))),
                ),
                Column("Series", per(series("engagement_collector_samples", *matchers), "collector")),
            ],
            sort="Intervals",
            width=12,
        ),
        lines(
            "Age of the numbers",
            "Age of each target's oldest numbers. A saw whose teeth are as high as the longest interval is "
            "normal; a ramp means that a collector has stopped succeeding.",
            Query(f"max by (target) ({age(*matchers)})", "{{target}}"),
            unit="s",
            width=6 if tells_quota else 12,
            height=TABLE_HEIGHT,
        ),
    ]
    if tells_quota:
        panels.append(
            lines(
                "Quota over time",
                "Share of the platform's request quota that was left in its current window, of the endpoint with the "
                "least where each has its own. At 0 the exporter waits for the next window, and numbers grow older.",
                Query(f"min by (target) ({quota_left(*matchers)})", "{{target}}"),
                unit="percentunit",
                width=6,
                height=TABLE_HEIGHT,
            )
        )
    return Row("Can it be trusted?", panels)
