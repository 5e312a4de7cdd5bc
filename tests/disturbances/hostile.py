"""A platform that does its worst: `python -m tests.disturbances.hostile` until its input ends.

It writes its port to standard output, and answers each request in the next of the ways in which a reply can do harm.
"""

import asyncio
import gzip
import json
import sys
from collections.abc import Callable, Iterator
from itertools import chain, cycle, repeat

ZEROS = bytes(2**28)
LONG_NAME = "x" * 200_000
STATS = {
    "stats": {
        "n_anon": 2,
        "n_auth": 9,
        "n_published_projects": 1,
        "n_draft_projects": 1,
        "n_tasks": 5,
        "n_task_runs": 7,
    },
    "top5_projects_24_hours": [{"short_name": LONG_NAME, "name": LONG_NAME, "id": 1, "n_answers": 3}],
    "top5_users_24_hours": [],
}

Pieces = Callable[[], Iterator[bytes]]


def whole(body: bytes, *headers: str) -> Pieces:
    """A reply with its length."""
    lines = ["HTTP/1.1 200 OK", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    return lambda: iter(["\r\n".join(lines).encode() + b"\r\n\r\n" + body])


def endless(head: bytes, piece: bytes) -> Pieces:
    """A reply that never ends."""
    return lambda: chain([head], repeat(piece))


def replies() -> list[Pieces]:
    """Make the replies."""
    bomb = gzip.compress(ZEROS, 6)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    return [
        whole(gzip.compress(bomb), "Content-Encoding: gzip, gzip"),
        whole(bomb, "Content-Encoding: gzip"),
        whole(json.dumps(STATS).encode()),
        endless(head + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b" " * 65536 + b"\r\n"),
        endless(head, b"X-Padding: " + b"x" * 4096 + b"\r\n"),
        endless(head + b"X-Padding: ", b"x" * 65536),
    ]


async def main() -> None:
    """Serve them in turn."""
    following = cycle(replies())

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                for piece in next(following)():
                    writer.write(piece)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1")
    with open(sys.stdout.fileno(), "w", encoding="utf-8") as output:  # noqa: ASYNC230 - a pipe that takes it whole
        output.write(str(server.sockets[0].getsockname()[1]))
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
