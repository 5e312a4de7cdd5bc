"""A client's connection, bounded in what it may take: uvicorn itself waits for ever for one that is silent or slow."""

import asyncio
from typing import Any

import structlog
from uvicorn.protocols.http.auto import AutoHTTPProtocol

logger = structlog.get_logger()

HEAD_SECONDS = 10.0
"""For sending a request, from its first byte to the end of its head."""
ANSWER_SECONDS = 120.0
"""For an answer, from the request to the last byte taken over by the network; no scrape lasts as long."""
MOST_HEAD_BYTES = 2**16
PIECE_BYTES = 2**14
"""What arrives is parsed in pieces of this size, so that a head is measured however it comes."""


class Bounds(asyncio.Protocol):
    """Deadlines for one of uvicorn's protocols, which follows it among the base classes.

    While a connection rests between two requests, uvicorn's own timer counts.
    """

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    cycle: Any
    """The latest request and its answer, None before the first."""

    _deadline: asyncio.TimerHandle | None = None
    _is_in_head = True
    _head_bytes = 0
    _active_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a first request."""
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Start the clock of a head with its first byte and that of an answer with the head's last."""
        for start in range(0, len(data), PIECE_BYTES):
            if self.transport.is_closing():
                return
            self._take(data[start : start + PIECE_BYTES])

    def _take(self, piece: bytes) -> None:
        cycle = self.cycle
        is_body = self._is_answering() and cycle.more_body
        super().data_received(piece)
        if self.cycle is not cycle:
            self._await_answer()
        elif not is_body:
            if not self._is_in_head and not self._is_answering():
                self._await_head()
            self._head_bytes += len(piece)
            if self._head_bytes > MOST_HEAD_BYTES:
                self.end("request too large")

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        if self._deadline:
            self._deadline.cancel()
        super().connection_lost(exc)

    def importance(self) -> tuple[bool, bool, float]:
        """Return what orders connections by how much they would be missed: who is answered most, who only asks least.

        Among equals it is who was heard of last.
        """
        return self._is_answering(), not self._is_in_head, self._active_at

    def end(self, reason: str) -> None:
        """End the connection, whatever is under way."""
        logger.debug("connection ended", reason=reason)
        self.transport.abort()

    def _await_head(self) -> None:
        self._is_in_head, self._head_bytes = True, 0
        self._restart_clock(HEAD_SECONDS)

    def _await_answer(self) -> None:
        self._is_in_head, self._head_bytes = False, 0
        self._restart_clock(ANSWER_SECONDS)

    def _restart_clock(self, seconds: float) -> None:
        if self._deadline:
            self._deadline.cancel()
        self._active_at = self.loop.time()
        self._deadline = self.loop.call_later(seconds, self._expired)

    def _expired(self) -> None:
        if self._is_in_head:
            self.end("no request in time")
        elif self._is_answering() or self.transport.get_write_buffer_size():
            self.end("answer not read in time")

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete


class BoundedConnection(Bounds, AutoHTTPProtocol):  # type: ignore[misc, valid-type] # whichever parser is installed
    """What the exporter serves with."""
