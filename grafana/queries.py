"""PromQL that the dashboards share: selectors bound to the variables, and joins that bring names to ids."""

_OF_EXPORTER = ('job=~"$job"', 'instance=~"$instance"')
_OF_TARGET = (*_OF_EXPORTER, 'target=~"$target"')
_IDENTITY = ("job", "instance", "target")


def series(name: str, *matchers: str, offset: str = "") -> str:
    """Select a metric of the chosen targets, with more matchers such as `window="7d"`."""
    return _selector(name, (*_OF_TARGET, *matchers), offset)


def of_exporter(name: str, *matchers: str) -> str:
    """Select a metric of the chosen exporters that belongs to no target."""
    return _selector(name, (*_OF_EXPORTER, *matchers), "")


def _selector(name: str, matchers: tuple[str, ...], offset: str) -> str:
    return f"{name}{{{', '.join(matchers)}}}" + (f" offset {offset}" if offset else "")


def total(expression: str, *by: str) -> str:
    """Add up, over everything or by labels."""
    return f"sum by ({', '.join(by)}) ({expression})" if by else f"sum({expression})"


def per(expression: str, *labels: str) -> str:
    """Add up by target and by labels, for the columns of a table."""
    return total(expression, *_IDENTITY, *labels)


def weekly_change(name: str, *matchers: str, weeks_ago: int = 0) -> str:
    """Net change of a gauge over seven days, by target; it can be negative.

    Added up before the subtraction, so that series which are younger than a week count too.
    """
    end = f"{weeks_ago}w" if weeks_ago else ""
    before = f"{weeks_ago + 1}w"
    return f"{per(series(name, *matchers, offset=end))} - {per(series(name, *matchers, offset=before))}"


def named(expression: str, info: str, key: str) -> str:
    """Bring the name on an info series to a series with the same id `key`."""
    return f"{expression} * on ({', '.join(_IDENTITY)}, {key}) group_left (name) {series(info)}"


def ratio(numerator: str, denominator: str) -> str:
    """Divide; no result where the denominator is 0."""
    return f"{numerator} / ({denominator} > 0)"


def told(expression: str, label: str) -> str:
    """Name an empty label value, which some APIs give for what they do not tell."""
    return f'label_replace({expression}, "{label}", "not told", "{label}", "")'
