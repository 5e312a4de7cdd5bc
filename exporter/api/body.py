"""The body of a reply as it arrives: unpacked here, and never larger than allowed, packed or unpacked."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator

import httpx

from exporter.errors import InvalidResponseError, TooLargeError

ACCEPTED_CODING = "gzip"
GZIP_WBITS = 31
"""zlib's way of saying that a gzip member, with its header and its checksum, is to be read."""
PIECE_BYTES = 2**16


class Gunzip:
    """Unpacks gzip piece by piece, so that a few bytes cannot become gigabytes before anybody has counted them.

    A stream may hold several members, which are one after the other the body (RFC 1952), and zeros after the last.
    """

    def __init__(self) -> None:
        self._member = zlib.decompressobj(GZIP_WBITS)
        self.is_whole = True
        """False in the middle of a member."""

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Yield what the next bytes hold. Raises zlib.error for what is not gzip."""
        while data:
            if self._member.eof:
                data = data.lstrip(b"\0")
                if not data:
                    return
                self._member = zlib.decompressobj(GZIP_WBITS)
            if piece := self._member.decompress(data, PIECE_BYTES):
                yield piece
            self.is_whole = self._member.eof
            data = self._member.unconsumed_tail or self._member.unused_data


class BoundedBody(httpx.AsyncByteStream):
    """The unpacked body of a reply, for whoever reads it; `wire_bytes` counts what arrived.

    `what` was asked stands in errors. Raises InvalidResponseError for a coding that was not asked for, a damaged one,
    and a body above the cap.
    """

    def __init__(self, response: httpx.Response, inner: httpx.AsyncByteStream, what: str, max_bytes: int) -> None:
        self.wire_bytes = 0
        self._inner = inner
        self._what = what
        self._max_bytes = max_bytes
        self._codings = [coding.strip().lower() for coding in response.headers.get("content-encoding", "").split(",")]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._codings not in ([""], ["identity"], ["gzip"], ["x-gzip"]):
            raise InvalidResponseError(
                f"{self._what}: the body has a Content-Encoding that was not asked for",
                remedy=f"let the platform, or the proxy before it, send {ACCEPTED_CODING} or nothing",
            )
        packed = Gunzip() if self._codings[0].endswith("gzip") else None
        size_bytes = 0
        try:
            async for chunk in self._inner:
                self.wire_bytes += len(chunk)
                self._check(self.wire_bytes)
                for number, piece in enumerate(packed.pieces(chunk) if packed else (chunk,)):
                    if number:
                        await asyncio.sleep(0)  # there may be a thousand of them, and others wait
                    size_bytes += len(piece)
                    self._check(size_bytes)
                    yield piece
        except zlib.error:
            raise self._damaged() from None
        if packed and not packed.is_whole:
            raise self._damaged()

    def _check(self, size_bytes: int) -> None:
        if size_bytes > self._max_bytes:
            raise TooLargeError(f"{self._what}: the reply is larger than {self._max_bytes} bytes")

    def _damaged(self) -> InvalidResponseError:
        return InvalidResponseError(f"{self._what}: the body's compression is damaged")

    async def aclose(self) -> None:
        await self._inner.aclose()


class BoundedTransport(httpx.AsyncBaseTransport):
    """Wraps the transport that does the work, so that no body is larger than allowed; see BoundedBody."""

    def __init__(self, inner: httpx.AsyncBaseTransport, max_bytes: int) -> None:
        self._inner = inner
        self._max_bytes = max_bytes

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        if isinstance(response.stream, httpx.AsyncByteStream):
            what = f"{request.method} {request.url.path}"
            response.stream = BoundedBody(response, response.stream, what, self._max_bytes)
            response.headers.pop("content-encoding", None)  # httpx would unpack once more
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()
