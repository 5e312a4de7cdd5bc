"""The last gate before the wire: only GET, only to the configured origin, and every request counted."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx

from exporter.errors import InvalidResponseError
from exporter.self_metrics import ApiMetrics

ENDPOINT = "engagement_endpoint"
"""Key of a request's extensions that holds the path template, so that counters get no ids as labels."""


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
        code = "error"
        started = time.perf_counter()
        try:
            response = await self._inner.handle_async_request(request)
            code = str(response.status_code)
        finally:
            self._metrics.requests.labels(self._target, self._platform, endpoint, code).inc()
            self._metrics.request_duration.labels(self._platform, endpoint).observe(time.perf_counter() - started)
        if isinstance(response.stream, httpx.AsyncByteStream):
            response.stream = _CappedStream(response.stream, self._max_body_bytes, endpoint)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _CappedStream(httpx.AsyncByteStream):
    """Stops a body that is larger than allowed as it arrives, whoever reads it."""

    def __init__(self, inner: httpx.AsyncByteStream, max_body_bytes: int, endpoint: str) -> None:
        self._inner = inner
        self._max_body_bytes = max_body_bytes
        self._endpoint = endpoint

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size_bytes = 0
        async for chunk in self._inner:
            size_bytes += len(chunk)
            if size_bytes > self._max_body_bytes:
                raise too_large(self._endpoint, self._max_body_bytes)
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()


def too_large(endpoint: str, max_body_bytes: int) -> InvalidResponseError:
    """Make the error of a body over the cap."""
    return InvalidResponseError(
        f"{endpoint}: the reply is larger than {max_body_bytes} bytes",
        remedy="raise the target's max_body_bytes if the platform really has that much to say",
    )
