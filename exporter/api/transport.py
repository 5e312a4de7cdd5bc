"""The last gate before the wire: only GET, only to the configured origin, and every request counted and named."""

import time
from dataclasses import dataclass

import httpx
import structlog

from exporter.api.body import BoundedBody
from exporter.api.run import current_run
from exporter.self_metrics import ApiMetrics

logger = structlog.get_logger()

REQUEST_ID = "X-Request-ID"
ENDPOINT = "engagement_endpoint"
"""Key of a request's extensions that holds the path template, so that counters get no ids as labels."""

NO_REPLY = "error"
"""Stands for the status code of a reply that never came."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What may pass: GET below `base_url`'s origin, and POST to `token_url` if the platform has one."""

    base_url: httpx.URL
    token_url: httpx.URL | None

    def admits(self, request: httpx.Request) -> bool:
        """True if the request may be sent with the target's credential."""
        if not same_origin(request.url, self.base_url):
            return False
        return request.method == "GET" or (request.method == "POST" and request.url == self.token_url)


def same_origin(one: httpx.URL, other: httpx.URL) -> bool:
    """Compare scheme, host and port, default ports included."""
    return _origin(one) == _origin(other)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)


class GatedTransport(httpx.AsyncBaseTransport):
    """Wraps the transport that does the work; a request that may not pass is a bug and raises RuntimeError."""

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport,
        gate: Gate,
        max_body_bytes: int,
        metrics: ApiMetrics,
        target: str,
        platform: str,
    ) -> None:
        self._inner = inner
        self._gate = gate
        self._max_body_bytes = max_body_bytes
        self._metrics = metrics
        self._target = target
        self._platform = platform

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not self._gate.admits(request):
            raise RuntimeError(
                f"{request.method} to {request.url.host} is not allowed: only GET to the target's own origin"
            )
        endpoint = request.extensions.get(ENDPOINT, request.url.path)
        request_id = current_run().next_request_id()
        request.headers[REQUEST_ID] = request_id
        exchange = _Exchange(request_id, self._target, request.method, endpoint)
        try:
            response = await self._inner.handle_async_request(request)
            exchange.code = str(response.status_code)
        finally:
            self._metrics.requests.labels(self._target, self._platform, endpoint, exchange.code).inc()
            self._metrics.request_duration.labels(self._platform, endpoint).observe(exchange.duration_seconds())
            if exchange.code == NO_REPLY:
                exchange.log()
        if isinstance(response.stream, httpx.AsyncByteStream):
            response.stream = _LoggedBody(response, response.stream, exchange, self._max_body_bytes)
            response.headers.pop("content-encoding", None)  # httpx would unpack once more
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Exchange:
    """One request and its reply, for one line in the log when it is over."""

    def __init__(self, request_id: str, target: str, method: str, endpoint: str) -> None:
        self.what = f"{method} {endpoint}"
        self.code = NO_REPLY
        self._facts = {"request": request_id, "target": target, "method": method, "endpoint": endpoint}
        self._started = time.perf_counter()

    def duration_seconds(self) -> float:
        return time.perf_counter() - self._started

    def log(self, body_bytes: int = 0) -> None:
        logger.debug(
            "request",
            **self._facts,
            code=self.code,
            duration_seconds=round(self.duration_seconds(), 3),
            body_bytes=body_bytes,
        )


class _LoggedBody(BoundedBody):
    """Logs the exchange when whoever reads the body is done with it."""

    def __init__(
        self, response: httpx.Response, inner: httpx.AsyncByteStream, exchange: _Exchange, max_bytes: int
    ) -> None:
        super().__init__(response, inner, exchange.what, max_bytes)
        self._exchange = exchange

    async def aclose(self) -> None:
        self._exchange.log(self.wire_bytes)
        await super().aclose()
