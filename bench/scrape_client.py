"""A scraper that does as little as it can: one connection, kept where the server does so, and nothing decompressed."""

import re
import socket
import time

HOST = "127.0.0.1"
PATIENCE_SECONDS = 120.0
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
LAST_CHUNK = b"\r\n0\r\n\r\n"
REQUEST = b"GET /metrics HTTP/1.1\r\nHost: bench\r\nAccept: text/plain;version=0.0.4\r\nAccept-Encoding: gzip\r\n\r\n"
BUFFER_BYTES = 2**22


class Scraper:
    """Scrapes one server again and again, into one buffer that grows to the size of the largest answer."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None
        self._buffer = bytearray(BUFFER_BYTES)

    def scrape_ms(self) -> float:
        """Return how long one scrape took, from connecting (where needed) to the last byte."""
        begin_seconds = time.perf_counter()
        self._scrape()
        return 1000 * (time.perf_counter() - begin_seconds)

    def scrape(self) -> bytes:
        """Return the body as it came. Raises OSError."""
        start, end = self._scrape()
        return bytes(self._buffer[start:end])

    def connect(self) -> socket.socket:
        """Open the connection unless there is one. Raises OSError."""
        if self._socket is None:
            self._socket = socket.create_connection((HOST, self._port), PATIENCE_SECONDS)
        return self._socket

    def close(self) -> None:
        """Close the connection; the next scrape opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _scrape(self) -> tuple[int, int]:
        """Return where in the buffer the body begins and ends."""
        connection = self.connect()
        connection.sendall(REQUEST)
        filled = 0
        while (head_end := self._buffer.find(b"\r\n\r\n", 0, filled)) < 0:
            received = self._receive(connection, filled)
            if not received:
                raise ConnectionError("the server closed the connection")
            filled += received
        head, start = bytes(self._buffer[:head_end]), head_end + 4
        if b" 200 " not in head.partition(b"\r\n")[0]:
            raise ConnectionError(f"the server answered {head!r}")
        end = self._read_body(connection, head, start, filled)
        if head.startswith(b"HTTP/1.0"):
            self.close()
        return start, end

    def _read_body(self, connection: socket.socket, head: bytes, start: int, filled: int) -> int:
        """Read until the body is whole; returns where it ends."""
        length = LENGTH.search(head)
        is_chunked = CHUNKED.search(head) is not None
        while True:
            if length and filled >= start + int(length[1]):
                return filled
            if is_chunked and self._buffer[filled - len(LAST_CHUNK) : filled] == LAST_CHUNK:
                return filled
            received = self._receive(connection, filled)
            if not received:
                return filled
            filled += received

    def _receive(self, connection: socket.socket, filled: int) -> int:
        if filled == len(self._buffer):
            self._buffer.extend(bytes(len(self._buffer)))
        with memoryview(self._buffer) as whole, whole[filled:] as free:
            return connection.recv_into(free)
