"""What is wrong with a PromQL expression of a dashboard, judged by the contract of the exporter's series."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

import promql_parser as promql

from exporter.metrics import Kind
from grafana.contract import ADDED_LABELS, Metric

_WINDOWS = {"$__rate_interval": "5m17s", "$__range": "1h17s"}
"""Durations that stand for Grafana's own while an expression is parsed: nobody writes such by hand."""
_ALLOWED_WINDOWS = {
    "rate": {"$__rate_interval"},
    "irate": {"$__rate_interval"},
    "increase": {"$__rate_interval", "$__range"},
}
_BOUND = {"job": "$job", "instance": "$instance", "target": "$target"}


@dataclass(frozen=True, slots=True)
class Selected:
    """A selector; `function` and `window` say what its range is for, both empty without a range."""

    name: str
    matchers: tuple[promql.Matcher, ...]
    function: str
    window: str


def problems_of(expression: str, metrics: Mapping[str, Metric]) -> Iterator[str]:
    """Yield a sentence per problem."""
    try:
        selectors = selected(expression)
    except ValueError as error:
        yield f"is no PromQL: {error}"
        return
    for selector in selectors:
        metric = metrics.get(selector.name)
        if metric is None:
            yield f"selects {selector.name!r}, a series that nobody exposes"
        else:
            yield from _matcher_problems(selector, metric)
            yield from _type_problems(selector, metric)
    labels = ADDED_LABELS.union(*(metric.labels for metric in metrics.values()))
    for label in sorted(_grouping_labels(expression) - labels):
        yield f"groups by {label!r}, a label of no series"


def selected(expression: str) -> list[Selected]:
    """Return every selector of an expression. Raises ValueError for one that is no PromQL."""
    found: list[Selected] = []
    function, window = "", ""

    def visit(node: promql.Expr) -> bool:
        nonlocal function, window
        if isinstance(node, promql.Call):
            function = node.func.name
        elif isinstance(node, promql.MatrixSelector):
            window = _window(node.range)
        elif isinstance(node, promql.VectorSelector):
            found.append(Selected(node.name or "", tuple(node.matchers.matchers), function if window else "", window))
            window = ""
        return True

    promql.walk(_tree(expression), visit)
    return found


def _tree(expression: str) -> promql.Expr:
    for name, duration in _WINDOWS.items():
        expression = expression.replace(name, duration)
    return promql.parse(expression)


def _window(length: timedelta) -> str:
    known = {promql.parse_duration(duration): name for name, duration in _WINDOWS.items()}
    return known.get(length, promql.display_duration(length))


def _matcher_problems(selector: Selected, metric: Metric) -> Iterator[str]:
    matched = {matcher.name: matcher for matcher in selector.matchers}
    for label, variable in _BOUND.items():
        if label == "target" and not metric.of_target:
            continue
        matcher = matched.pop(label, None)
        if matcher is None or matcher.value != variable or matcher.op != promql.MatchOp.Re:
            yield f'selects {selector.name} without {label}=~"{variable}"'
    for label in matched.keys() - metric.labels:
        yield f"selects {selector.name} by {label!r}, which is not among its labels"
    for label, matcher in matched.items():
        if "$" in matcher.value and matcher.op != promql.MatchOp.Re:
            yield f"compares {label!r} with a variable of several values by something else than =~"


def _type_problems(selector: Selected, metric: Metric) -> Iterator[str]:
    over_counters = selector.function in _ALLOWED_WINDOWS
    if metric.kind is Kind.COUNTER and not over_counters:
        yield f"uses the counter {selector.name} without rate or increase"
    if metric.kind is not Kind.COUNTER and over_counters:
        yield f"takes {selector.function} of {selector.name}, which is a {metric.kind}"
    if over_counters and selector.window not in _ALLOWED_WINDOWS[selector.function]:
        yield f"takes {selector.function} over {selector.window} instead of $__rate_interval"


def _grouping_labels(expression: str) -> set[str]:
    found: set[str] = set()

    def visit(node: promql.Expr) -> bool:
        if isinstance(node, promql.AggregateExpr) and node.modifier:
            found.update(node.modifier.labels)
        elif isinstance(node, promql.BinaryExpr) and node.modifier:
            found.update(node.modifier.matching.labels if node.modifier.matching else ())
            found.update(node.modifier.group_labels or ())
        return True

    promql.walk(_tree(expression), visit)
    return found
