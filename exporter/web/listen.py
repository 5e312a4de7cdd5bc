"""Listen addresses as Prometheus components write them: `:10360`, `127.0.0.1:10360`, `[::1]:10360`."""

import socket
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
    listener = socket.create_server((host, port), family=family, dualstack_ipv6=dualstack, backlog=1024)
    # asyncio sets it for sockets of its own making only; without it a kept-alive scrape waits 40 ms for an ACK
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
