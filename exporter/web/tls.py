"""TLS of the exporter's own endpoints: certificates, client certificates, and the names that clients may have."""

import ssl
from collections.abc import Callable, Collection, Iterator, Mapping
from ipaddress import ip_address
from typing import Any

import structlog

from exporter.errors import ConfigError
from exporter.web.web_config import TlsServerConfig
from exporter.yaml_document import Document

logger = structlog.get_logger()

VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
VERIFY_MODES = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}


def server_context(config: TlsServerConfig, document: Document) -> ssl.SSLContext | None:
    """Build the context that a checked `tls_server_config` asks for, None for plain HTTP.

    Raises ConfigError, placed in `document`, for files that are no usable PEM.
    """
    if config.cert_file is None or config.key_file is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = VERSIONS[config.min_version]
    context.maximum_version = VERSIONS[config.max_version]
    key = "cert_file"
    try:
        # an empty password makes an encrypted key an error instead of a prompt on the terminal
        context.load_cert_chain(config.cert_file, config.key_file, password="")
        if config.client_ca_file:
            key = "client_ca_file"
            context.load_verify_locations(config.client_ca_file)
    except OSError:
        message = "is not usable; give PEM files, an unencrypted key, and the certificate that belongs to it"
        raise ConfigError((document.problem(("tls_server_config", key), message),)) from None
    context.verify_mode = VERIFY_MODES[config.client_auth_type]
    if config.client_allowed_sans:
        context.sslobject_class = _accepting_only(frozenset(config.client_allowed_sans))
    return context


def _accepting_only(allowed: Collection[str]) -> type[ssl.SSLObject]:
    """Return a TLS connection that ends in its handshake, before any request, when the client's names are others."""

    class Connection(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            if not set(subject_alternative_names(self.getpeercert() or {})) & set(allowed):
                logger.warning("client refused: its certificate has none of client_allowed_sans")
                raise ssl.SSLCertVerificationError("the client certificate has none of client_allowed_sans")

    return Connection


def subject_alternative_names(certificate: Mapping[str, Any]) -> Iterator[str]:
    """Yield DNS names, e-mail addresses, URIs and IP addresses of a certificate as `SSLObject.getpeercert` gives it."""
    for kind, value in certificate.get("subjectAltName", ()):
        if kind == "IP Address":
            yield str(ip_address(value.strip()))
        elif kind in ("DNS", "email", "URI"):
            yield value


class CurrentContext(ssl.SSLContext):
    """Hands every new connection to the context that is in force at that moment, so that certificates can change."""

    _current: Callable[[], ssl.SSLContext]

    def __new__(cls, current: Callable[[], ssl.SSLContext]) -> "CurrentContext":
        context = super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)
        context._current = current
        return context

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        """Begin a connection; asyncio calls this once for each."""
        return self._current().wrap_bio(*arguments, **options)
