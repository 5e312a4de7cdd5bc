"""A response whose body lies ready in pieces, joined and copied only as far as the client reads."""

from collections.abc import Mapping, Sequence

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from exporter.exposition import batches

SLICE_BYTES = 2**18
"""Most that the server copies for one client before it waits for that client to read."""


class PiecesResponse(Response):
    """Answers 200 with the pieces, one after the other; slow readers share the pieces and hold one slice each."""

    def __init__(self, pieces: Sequence[bytes], headers: Mapping[str, str]) -> None:
        super().__init__(headers={**headers, "Content-Length": str(sum(map(len, pieces)))})
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send as ASGI asks for it."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        for batch in batches(self._pieces):
            for start in range(0, len(batch), SLICE_BYTES):
                body = memoryview(batch)[start : start + SLICE_BYTES]
                await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
