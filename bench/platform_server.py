"""A platform as cheap as it can be: prepared replies from a process of its own, so that the client is measured."""

import asyncio
import multiprocessing
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection

Replies = Mapping[bytes, bytes]
"""Whole replies by the request target, first looked up with its query, then without."""

NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
START_TIMEOUT_SECONDS = 300


def reply(body: bytes, *headers: str) -> bytes:
    """Make a whole 200 reply with a JSON body, which `headers` may say to be compressed."""
    lines = ["HTTP/1.1 200 OK", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@contextmanager
def serving(prepare: Callable[[str], Replies]) -> Iterator[str]:
    """Serve what `prepare(origin)` makes inside the server's process; yields the origin once all is prepared."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_serve_forever, args=(prepare, theirs), daemon=True)
    process.start()
    try:
        if not ours.poll(START_TIMEOUT_SECONDS):
            raise TimeoutError(f"the server did not start within {START_TIMEOUT_SECONDS} s")
        yield ours.recv()
    finally:
        process.terminate()
        process.join()


def _serve_forever(prepare: Callable[[str], Replies], started: Connection) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
    replies = prepare(origin)
    asyncio.run(_answer(listener, replies, lambda: started.send(origin)))


async def _answer(listener: socket.socket, replies: Replies, ready: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Client(replies), sock=listener)
    ready()
    await server.serve_forever()


class _Client(asyncio.Protocol):
    """One connection, kept alive; requests may come in pieces."""

    def __init__(self, replies: Replies) -> None:
        self._replies = replies
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (head_end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:head_end]
            request_end = head_end + 4 + content_length(head)
            if len(self._received) < request_end:
                return
            self._received = self._received[request_end:]
            target = head.split(b" ", 2)[1]
            path = target.partition(b"?")[0]
            self._transport.write(self._replies.get(target) or self._replies.get(path) or NOT_FOUND)


def content_length(head: bytes) -> int:
    """Read the header Content-Length of a request's or reply's head in bytes, 0 without one."""
    _, found, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.partition(b"\r\n")[0]) if found else 0
