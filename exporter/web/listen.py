"""What to listen on: addresses as Prometheus components write them, such as `:10360`, or sockets of systemd."""

import socket
from collections.abc import Mapping
from urllib.parse import urlsplit


def parse_address(text: str) -> tuple[str, int]:
    """Split into host and port; the host is empty for all interfaces. Raises ValueError with the remedy."""
    message = "write HOST:PORT or :PORT, such as 127.0.0.1:10360"
    try:
        parts = urlsplit(f"//{text}")
        port = parts.port
    except ValueError:
        raise ValueError(message) from None
    if port is None or parts.path or parts.query or parts.fragment or parts.username is not None:
        raise ValueError(message)
    return parts.hostname or "", port


def listen(host: str, port: int) -> socket.socket:
    """Bind and listen; port 0 takes any free one. Raises OSError."""
    dualstack = not host and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if dualstack or ":" in host else socket.AF_INET
    return _without_delay(socket.create_server((host, port), family=family, dualstack_ipv6=dualstack, backlog=1024))


def activated(environment: Mapping[str, str], process_id: int, first_descriptor: int = 3) -> list[socket.socket]:
    """Take over the listening sockets that systemd passed to this process, by the protocol of sd_listen_fds(3).

    Raises ValueError with the remedy when there are none, or when one is not of TCP.
    """
    count = environment.get("LISTEN_FDS", "0")
    if environment.get("LISTEN_PID") != str(process_id) or not count.isdecimal() or int(count) == 0:
        raise ValueError("systemd passed no socket; start the service by its .socket unit")
    return [_activated(descriptor) for descriptor in range(first_descriptor, first_descriptor + int(count))]


def _activated(descriptor: int) -> socket.socket:
    try:
        listener = socket.socket(fileno=descriptor)
        listens = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError:
        raise ValueError(f"systemd's file descriptor {descriptor} is no socket; check the .socket unit") from None
    if not listens or listener.family not in (socket.AF_INET, socket.AF_INET6):
        listener.close()
        raise ValueError(f"systemd's file descriptor {descriptor} listens to no TCP port; use ListenStream=PORT")
    listener.set_inheritable(False)
    return _without_delay(listener)


def _without_delay(listener: socket.socket) -> socket.socket:
    # asyncio sets it for sockets of its own making only; without it a kept-alive scrape waits 40 ms for an ACK
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
