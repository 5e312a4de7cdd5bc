"""Certificates, web configuration files and a counted bcrypt that the tests make, and a server that they protect."""

import asyncio
import os
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import bcrypt
import trustme
import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from exporter.web.access import Access
from exporter.web.listen import listen

TLS = "tls_server_config: {cert_file: server.crt, key_file: server.key}\n"


def replace(file: Path, content: bytes) -> None:
    """Put a new file in the place of another at once, as tools that rotate certificates do."""
    new = file.with_suffix(".new")
    new.write_bytes(content)
    os.replace(new, file)


def write_web_config(folder: Path, text: str) -> Path:
    """Write the web configuration file of a folder."""
    replace(folder / "web.yml", text.encode())
    return folder / "web.yml"


def write_certificate(folder: Path, ca: trustme.CA, name: str = "127.0.0.1") -> trustme.LeafCert:
    """Write server.crt and server.key for `name`, and the authority as ca.crt."""
    certificate = ca.issue_cert(name)
    replace(folder / "server.crt", certificate.cert_chain_pems[0].bytes())
    replace(folder / "server.key", certificate.private_key_pem.bytes())
    replace(folder / "ca.crt", ca.cert_pem.bytes())
    return certificate


def hashed(password: str) -> str:
    """A bcrypt hash of the lowest cost."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


def trusting(ca: trustme.CA, certificate: trustme.LeafCert | None = None) -> ssl.SSLContext:
    """A client's context that trusts `ca` and shows `certificate`."""
    context = ssl.create_default_context()
    ca.configure_trust(context)
    if certificate:
        certificate.configure_cert(context)
    return context


@dataclass(slots=True)
class CountedBcrypt:
    """bcrypt that remembers the hashes it was asked about, and waits for `gate` while that is shut."""

    asked: list[bytes] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    def __call__(self, password: bytes, stored: bytes) -> bool:
        self.asked.append(stored)
        assert self.gate.wait(60)
        return bcrypt.checkpw(password, stored)


@dataclass(slots=True)
class Endpoints:
    """Answers every request, and remembers the paths."""

    paths: list[str] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.paths.append(scope["path"])
        await PlainTextResponse("numbers\n", headers={"X-Frame-Options": "sameorigin"})(scope, receive, send)


@asynccontextmanager
async def served(access: Access, endpoints: Endpoints) -> AsyncIterator[str]:
    """Serve `endpoints` on this machine, guarded by `access`; gives HOST:PORT."""
    tls = access.tls()
    with listen("127.0.0.1", 0) as listener:
        server = uvicorn.Server(
            uvicorn.Config(
                access.guard(endpoints),
                lifespan="off",
                log_config=None,
                ssl_context_factory=(lambda config, default: tls) if tls else None,
            )
        )
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving
