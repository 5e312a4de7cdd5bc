"""An HTTP proxy that passes requests on and remembers each with its headers: what really left the exporter."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

REFUSAL = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as it arrived: `url` is absolute, header names are lower case."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes

    @property
    def origin(self) -> str:
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


@dataclass(frozen=True, slots=True)
class ForwardProxy:
    """A running proxy at `address` (HOST:PORT) and what went through it, oldest first."""

    address: str
    sent: list[Sent] = field(default_factory=list)


@asynccontextmanager
async def forward_proxy() -> AsyncIterator[ForwardProxy]:
    """Run a proxy on this machine until the block ends. It reaches plain HTTP servers on this machine only."""
    connections: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(_serve(proxy, reader, writer))
        connections.add(connection)
        connection.add_done_callback(connections.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    proxy = ForwardProxy(f"{host}:{port}")
    try:
        yield proxy
    finally:
        server.close()
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


async def _serve(proxy: ForwardProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve the one request of a connection; a reply that breaks off breaks off for the client too."""
    try:
        sent = await _read(reader)
        proxy.sent.append(sent)
        if sent.method == "CONNECT" or urlsplit(sent.url).hostname != "127.0.0.1":
            writer.write(REFUSAL)
        else:
            await _forward(sent, writer)
        await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        pass  # the client or the platform hung up
    finally:
        writer.close()


async def _read(reader: asyncio.StreamReader) -> Sent:
    request_line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
    method, url, _ = request_line.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Sent(method, url, headers, body)


async def _forward(sent: Sent, writer: asyncio.StreamWriter) -> None:
    parts = urlsplit(sent.url)
    reader, platform = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        path = parts._replace(scheme="", netloc="").geturl()
        headers = {**sent.headers, "connection": "close"}
        headers.pop("proxy-authorization", None)
        head = [f"{sent.method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        platform.write("\r\n".join([*head, "", ""]).encode("latin-1") + sent.body)
        while part := await reader.read(2**16):
            writer.write(part)
            await writer.drain()
    finally:
        platform.close()
