"""The format of the file of `--web.config.file`, which is exporter-toolkit's: TLS, response headers, users.

Keys and values of that format which this server cannot honour are refused, never ignored.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from exporter.file_stamp import read_regular
from exporter.settings import FilePath, Settings

BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|1[0-8])\$[./A-Za-z0-9]{53}")
"""A hash in bcrypt's form. Its cost is at most 18, since each step doubles the time and 18 takes seconds."""


class Section(Settings):
    """A part of the file. A key with no value, or an empty one, counts as left out, as in exporter-toolkit."""

    @model_validator(mode="before")
    @classmethod
    def _without_empty_values(cls, data: object) -> object:
        if isinstance(data, dict):
            return {key: value for key, value in data.items() if value not in (None, "")}
        return data


def _refuse(value: object) -> None:
    raise ValueError("is not supported by this exporter; leave it out")


def _refuse_inline(value: object) -> None:
    raise ValueError("certificates and keys must stand in files; give cert_file, key_file and client_ca_file")


def _refuse_unverified(value: object) -> object:
    """Python's ssl module verifies every certificate that it asks for."""
    if value in ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert"):
        raise ValueError(
            "client certificates that nobody verifies are not supported;"
            " use VerifyClientCertIfGiven or RequireAndVerifyClientCert with client_ca_file"
        )
    return value


def _refuse_old_version(value: object) -> object:
    """OpenSSL refuses them by itself at its usual security level, so that accepting them here would be a pretence."""
    if value in ("TLS10", "TLS11"):
        raise ValueError("TLS 1.0 and 1.1 are insecure and not supported; use TLS12 or TLS13")
    return value


def _bcrypt_hash(value: object) -> object:
    if not isinstance(value, str) or not BCRYPT.fullmatch(value):
        raise ValueError("must be a bcrypt hash of cost 4 to 18, never the password; `htpasswd -nBC 10 NAME` makes one")
    return value


def _header_value(value: str) -> str:
    if not value.isascii() or not value.isprintable():
        raise ValueError("must be one line of plain ASCII text")
    return value


Unsupported = Annotated[None, BeforeValidator(_refuse)]
Inline = Annotated[None, BeforeValidator(_refuse_inline)]
TlsVersion = Annotated[Literal["TLS12", "TLS13"], BeforeValidator(_refuse_old_version)]
ClientAuthType = Annotated[
    Literal["NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"],
    BeforeValidator(_refuse_unverified),
]
BcryptHash = Annotated[SecretStr, BeforeValidator(_bcrypt_hash)]
HeaderValue = Annotated[str, AfterValidator(_header_value)]


class TlsServerConfig(Section):
    """`tls_server_config`; without any key in it the server speaks plain HTTP."""

    cert_file: FilePath | None = None
    key_file: FilePath | None = None
    client_auth_type: ClientAuthType = "NoClientCert"
    client_ca_file: FilePath | None = None
    client_allowed_sans: tuple[str, ...] | None = Field(None, min_length=1)
    min_version: TlsVersion = "TLS12"
    max_version: TlsVersion = "TLS13"
    cert: Inline = None
    key: Inline = None
    client_ca: Inline = None
    cipher_suites: Unsupported = None
    prefer_server_cipher_suites: Unsupported = None
    curve_preferences: Unsupported = None

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield (key, message) for what no single key can tell."""
        if self.model_fields_set and (self.cert_file is None or self.key_file is None):
            yield "key_file" if self.cert_file else "cert_file", "cert_file and key_file go together; give both"
        if self.client_auth_type == "NoClientCert":
            if self.client_ca_file:
                yield "client_ca_file", "has no effect without client_auth_type; set it to RequireAndVerifyClientCert"
        elif self.client_ca_file is None:
            yield "client_auth_type", f"{self.client_auth_type} needs client_ca_file to verify certificates against"
        if self.client_allowed_sans and self.client_auth_type != "RequireAndVerifyClientCert":
            yield "client_allowed_sans", "needs client_auth_type: RequireAndVerifyClientCert"
        if self.min_version > self.max_version:
            yield "max_version", "is below min_version"
        yield from self._file_problems()

    def _file_problems(self) -> Iterator[tuple[str, str]]:
        for key in ("cert_file", "key_file", "client_ca_file"):
            file: Path | None = getattr(self, key)
            try:
                if file:
                    read_regular(file)
            except OSError as error:
                yield key, f"cannot be read: {error.strerror}"
            except ValueError:
                yield key, "must be the path of a file"


class Headers(Section):
    """`headers`: the ones that exporter-toolkit allows."""

    content_security_policy: HeaderValue | None = Field(None, alias="Content-Security-Policy")
    x_frame_options: Literal["deny", "sameorigin"] | None = Field(None, alias="X-Frame-Options")
    x_content_type_options: Literal["nosniff"] | None = Field(None, alias="X-Content-Type-Options")
    x_xss_protection: HeaderValue | None = Field(None, alias="X-XSS-Protection")
    strict_transport_security: HeaderValue | None = Field(None, alias="Strict-Transport-Security")


class HttpServerConfig(Section):
    """`http_server_config`. `http2` is accepted for files that other exporters share; HTTP/1.1 is what is served."""

    http2: bool = True
    headers: Headers = Headers()


class WebConfig(Section):
    """The whole file."""

    tls_server_config: TlsServerConfig = TlsServerConfig()
    http_server_config: HttpServerConfig = HttpServerConfig()
    basic_auth_users: dict[str, BcryptHash] = Field(default_factory=dict)
    rate_limit: Unsupported = None
