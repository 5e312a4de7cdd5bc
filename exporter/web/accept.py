"""Connections from the moment they are accepted: counted, awaited for so long, and made room for.

asyncio's own server makes a TLS connection of 280 kB at once and waits a minute for its handshake, before anybody can
count it. Here a client that has said nothing is a socket and no more.
"""

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import Callable, Iterable

import structlog

from exporter.web.connection import Bounds

logger = structlog.get_logger()

MOST_CONNECTIONS = 512
"""Beyond this, a new connection takes the place of the one that is missed least."""
SILENCE_SECONDS = 10.0
"""For the first byte of a new connection."""
HANDSHAKE_SECONDS = 10.0
MOST_HANDSHAKES = 64
"""Each takes 280 kB; beyond this, a new one takes the place of the oldest, which a client in earnest had long ended."""
ACCEPTED_AT_ONCE = 64
"""Connections taken in before the event loop turns to others."""
OUT_OF_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
PAUSE_SECONDS = 1.0
"""Before the next try to accept when the system has no more sockets to give and there is nobody to send away."""

Protocols = Callable[[], asyncio.Protocol]


class Acceptor:
    """Takes connections from listening sockets and gives those that say something to a new protocol, over TLS if any.

    `served` are the connections that have got as far as a protocol. Room is made by ending who has said nothing, then
    who is in a handshake, both from the longest on, then by `Bounds.importance`. Times are those of the event loop.
    """

    def __init__(
        self, listeners: Iterable[socket.socket], protocols: Protocols, served: set[Bounds], tls: ssl.SSLContext | None
    ) -> None:
        self._listeners = list(listeners)
        self._protocols = protocols
        self._served = served
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._silent: dict[socket.socket, asyncio.TimerHandle] = {}
        self._handshakes: dict[asyncio.Task[object], None] = {}
        """In the order of their coming, as the silent ones."""
        for listener in self._listeners:
            listener.setblocking(False)
            self._listen(listener)

    def close(self) -> None:
        """Accept nobody any more, and end who has not asked anything yet."""
        while self._listeners:
            listener = self._listeners.pop()
            self._loop.remove_reader(listener)
            listener.close()
        for client in tuple(self._silent):
            self._leave(client).close()
        for handshake in self._handshakes:
            handshake.cancel()

    def _listen(self, listener: socket.socket) -> None:
        if listener in self._listeners:
            self._loop.add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                client, _address = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionError):
                return
            except OSError as error:
                if error.errno not in OUT_OF_FILES:
                    raise
                if not self._make_room():
                    self._loop.remove_reader(listener)
                    self._loop.call_later(PAUSE_SECONDS, self._listen, listener)
                return
            client.setblocking(False)
            if len(self._silent) + len(self._handshakes) + len(self._served) >= MOST_CONNECTIONS:
                self._make_room()
            self._silent[client] = self._loop.call_later(SILENCE_SECONDS, self._send_away, client, "no word in time")
            self._loop.add_reader(client, self._admit, client)

    def _make_room(self) -> bool:
        """End the connection that is missed least; False if there is none."""
        if self._silent:
            self._send_away(next(iter(self._silent)), "room for another")
        elif self._handshakes:
            self._end_oldest_handshake()
        elif self._served:
            min(self._served, key=Bounds.importance).end("room for another")
        else:
            return False
        return True

    def _send_away(self, client: socket.socket, reason: str) -> None:
        logger.debug("connection ended", reason=reason)
        self._leave(client).close()

    def _leave(self, client: socket.socket) -> socket.socket:
        """Take a client that has been silent so far out of the waiting room."""
        self._silent.pop(client).cancel()
        self._loop.remove_reader(client)
        return client

    def _admit(self, client: socket.socket) -> None:
        if _has_left(self._leave(client)):
            client.close()
            return
        if self._tls and len(self._handshakes) >= MOST_HANDSHAKES:
            self._end_oldest_handshake()
        handshake: asyncio.Task[object] = self._loop.create_task(self._connect(client))
        self._handshakes[handshake] = None
        handshake.add_done_callback(lambda _: self._end_handshake(handshake, client))

    def _end_oldest_handshake(self) -> None:
        oldest = next(iter(self._handshakes))
        del self._handshakes[oldest]  # it ends only when the event loop comes to it
        oldest.cancel()

    def _end_handshake(self, handshake: asyncio.Task[object], client: socket.socket) -> None:
        self._handshakes.pop(handshake, None)
        if handshake.cancelled():  # perhaps before it began, when nobody else knows of the socket
            client.close()

    async def _connect(self, client: socket.socket) -> None:
        seconds = HANDSHAKE_SECONDS if self._tls else None
        with contextlib.suppress(OSError):  # the client left, is not one of TLS, or was refused by its certificate
            await self._loop.connect_accepted_socket(
                self._protocols, client, ssl=self._tls, ssl_handshake_timeout=seconds
            )


def _has_left(client: socket.socket) -> bool:
    """True if all that a client has to say is that it is gone."""
    try:
        return not client.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
