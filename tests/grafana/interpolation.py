"""What Grafana puts in the place of variables before it sends a query to Prometheus."""

import re
from collections.abc import Mapping, Sequence

ALL = (".+",)


def interpolated(expression: str, values: Mapping[str, Sequence[str]], builtin: Mapping[str, str]) -> str:
    """Put in the chosen `values` of the dashboard's variables, and what Grafana itself knows, such as `__range`.

    Raises KeyError for a variable that neither has.
    """

    def text(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name in builtin:
            return builtin[name]
        chosen = values[name]
        return chosen[0] if len(chosen) == 1 else f"({'|'.join(chosen)})"

    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", text, expression)
