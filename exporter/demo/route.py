"""A path of the simulated platforms, which says what the shape of its replies rests on."""

from collections.abc import Awaitable, Callable, Sequence

from starlette import routing
from starlette.requests import Request
from starlette.responses import Response

from exporter.evidence import Evidence


class Route(routing.Route):
    """A route with its evidence."""

    def __init__(
        self,
        path: str,
        endpoint: Callable[[Request], Awaitable[Response]],
        evidence: Evidence,
        *,
        methods: Sequence[str] = ("GET",),
    ) -> None:
        super().__init__(path, endpoint, methods=methods)
        self.evidence = evidence
