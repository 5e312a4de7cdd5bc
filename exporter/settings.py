"""What a target's settings are made of: durations, secrets, addresses, and the keys that every platform shares."""

import re
import ssl
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self
from urllib.parse import SplitResult, urlsplit

import httpx
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    SecretStr,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import CoreSchema

from exporter.file_stamp import Stamp, read_regular, stamps

SECONDS = {"y": 31_536_000, "w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1, "ms": 0.001}
HOST_NAME = re.compile(r"(?=.{1,254}$)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")
MOST_ADDRESS_CHARACTERS = 4_096

DURATION = re.compile("".join(rf"(?:([0-9]{{1,9}}){unit})?" for unit in SECONDS))


def parse_duration(text: object) -> timedelta:
    """Read a duration as Prometheus writes it, such as `90s`, `1h30m` or `1d`. Raises ValueError with the remedy."""
    if isinstance(text, timedelta):
        return text
    match = DURATION.fullmatch(text) if isinstance(text, str) else None
    if not text or match is None:
        raise ValueError("write a duration with its unit, such as 30s, 15m, 1h30m or 1d")
    amounts = zip(match.groups(), SECONDS.values(), strict=True)
    seconds = sum(int(amount) * unit_seconds for amount, unit_seconds in amounts if amount)
    if not 1 <= seconds <= SECONDS["y"]:
        raise ValueError("must lie between 1s and 1y")
    return timedelta(seconds=seconds)


def duration_text(duration: timedelta) -> str:
    """Write a duration as `parse_duration` reads it: 1h30m, not 1:30:00."""
    milliseconds = round(duration.total_seconds() * 1000)
    parts = []
    for unit, seconds in SECONDS.items():
        amount, milliseconds = divmod(milliseconds, round(seconds * 1000))
        if amount and unit not in "yw":
            parts.append(f"{amount}{unit}")
        else:
            milliseconds += amount * round(seconds * 1000)
    return "".join(parts) or "0s"


def _resolve(path: Path, info: ValidationInfo) -> Path:
    """A relative path is relative to the folder of the configuration file, wherever the command was started."""
    folder: Path = (info.context or {}).get("folder", Path())
    return folder / path.expanduser()


def _split(text: str, example: str) -> SplitResult:
    """Split an http address that httpx can use. Messages never repeat it, since it may hold a password."""
    if any(character.isspace() or ord(character) < 0x20 for character in text):
        raise ValueError("contains characters that do not belong into an address")
    try:
        parts = urlsplit(text)
        is_good = parts.scheme in ("https", "http") and parts.port != 0 and _is_host(parts.hostname or "")
        _ = httpx.URL(text).host  # raises for a name that IDNA does not know
    except (ValueError, httpx.InvalidURL):
        is_good = False
    if not is_good:
        raise ValueError(f"write the full address, such as {example}")
    return parts


def _is_host(text: str) -> bool:
    """True for an IP address and for what can be looked up as a name."""
    if ":" in text:
        return isinstance(ip_address(text), IPv6Address)
    return HOST_NAME.fullmatch(text) is not None


def _address(text: str) -> str:
    """Check a platform's URL; returns it without a trailing slash."""
    parts = _split(text, "https://academy.example.org")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not contain a user name or password; use the platform's credential keys")
    if parts.query or parts.fragment:
        raise ValueError("must not contain ? or #; give the address of the site only")
    if len(text) > MOST_ADDRESS_CHARACTERS:
        raise ValueError(f"is too long; an address has at most {MOST_ADDRESS_CHARACTERS:,} characters")
    return text.rstrip("/")


def _proxy(secret: SecretStr) -> SecretStr:
    _split(secret.get_secret_value(), "http://proxy.example.org:3128")
    return secret


def is_loopback(host: str) -> bool:
    """True for this machine itself, where a credential may travel without TLS."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    WithJsonSchema({"type": "string", "pattern": rf"^([0-9]{{1,9}}({'|'.join(SECONDS)}))+$|\$"}),
]
FilePath = Annotated[Path, AfterValidator(_resolve)]
Address = Annotated[str, AfterValidator(_address)]
Proxy = Annotated[SecretStr, AfterValidator(_proxy)]


class Secret:
    """A credential that cannot be printed. One that stands in a file is read anew whenever the file changes."""

    __slots__ = ("_path", "_stamp", "_value")

    def __init__(self, value: str = "", *, path: Path | None = None) -> None:
        self._value = value
        self._path = path
        self._stamp: Stamp | None = None

    def __repr__(self) -> str:
        return "Secret(***)"

    def read(self) -> str:
        """Return the credential. Raises ValueError when the file is gone, unreadable, empty or no single line of text.

        A file that becomes unusable while the exporter runs keeps its last good value: the platform will tell
        when that is refused.
        """
        if self._path is None:
            return _checked(self._value.strip())  # a variable of the environment may end in a line break
        try:
            [stamp] = stamps([self._path])
            if stamp != self._stamp:
                self._value = _checked(read_regular(self._path).decode().strip())
                self._stamp = stamp
        except (OSError, ValueError) as error:
            if self._stamp is None:
                reason = error.strerror if isinstance(error, OSError) else "is empty or not one line of plain text"
                raise ValueError(f"the file cannot be used: {reason}") from None
        return self._value


def _checked(value: str) -> str:
    """A credential travels in a header: one line of printable ASCII."""
    if not value or not value.isascii() or not value.isprintable():
        raise ValueError("is empty or not one line of plain text")
    return value


class Settings(BaseModel):
    """A part of the configuration file: unknown keys are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class CollectorSettings(Settings):
    """`on`, `off`, or a mapping; a mapping turns the collector on unless it says `enabled: false`."""

    enabled: bool | None = Field(None, description="on or off; left out, the collector's own default")
    interval: Duration | None = Field(
        None, description="time between two runs; left out, the target's interval, else the collector's own"
    )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"type": "boolean"}, handler(schema)]}


def _collector(value: object) -> object:
    if isinstance(value, bool):
        return {"enabled": value}
    if isinstance(value, dict):
        return {"enabled": True, **value}
    if value is None:
        raise ValueError("write on, off, or a mapping such as {interval: 1h}")
    return value


class CollectorsSettings(Settings):
    """Base of each platform's `collectors`: one field per collector, named as the collector."""


OnOff = BeforeValidator(_collector)
"""Annotates a field of a CollectorsSettings, so that `on` and `off` are accepted beside a mapping."""


class Choice(Settings):
    """Which objects of a list have series of their own, by `top` or by `ids`; the others are added up."""

    @model_validator(mode="after")
    def _either(self) -> Self:
        if {"top", "ids"} <= self.model_fields_set:
            raise ValueError("give either top or ids, not both")
        return self


class TargetSettings(Settings):
    """The keys of every target; a platform's own settings add to them."""

    credentials: ClassVar[tuple[str, ...]] = ()
    """Keys of secrets, each of which may also be given as KEY_file."""

    name: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z0-9._-]{1,100}$",
            description="name of the target, the label `target` of all its series: letters, digits, '-', '_', '.'",
        ),
    ]
    platform: str = Field(description="the kind of platform")
    url: Address = Field(description="address of the platform's site")
    interval: Duration | None = Field(
        None, description="time between two runs of each collector; left out, each collector's own"
    )
    timeout: Duration = Field(
        timedelta(minutes=5), description="longest time that one run of a collector may take as a whole"
    )
    max_age: Duration = Field(
        timedelta(hours=24), description="age at which values are dropped when no run succeeds any more"
    )
    max_series: int = Field(
        20_000, ge=1, description="most series of the target; families that do not fit are dropped whole and counted"
    )
    max_body_bytes: int = Field(
        64 * 2**20, ge=1_000, description="largest reply accepted, in bytes after decompression"
    )
    requests_per_second: float = Field(2.0, gt=0, le=100_000, description="average pace of requests to the platform")
    concurrency: int = Field(2, ge=1, le=100, description="requests to the platform at the same time")
    ca_file: FilePath | None = Field(
        None, description="PEM file of certificate authorities to trust instead of the system's"
    )
    client_cert_file: FilePath | None = Field(None, description="PEM file of the client certificate")
    client_key_file: FilePath | None = Field(None, description="PEM file of the client certificate's key")
    proxy: Proxy | None = Field(
        None, description="address of an HTTP proxy; the environment's proxy variables are not used"
    )
    allow_http: bool = Field(
        False,
        description="allow http:// for a host that is not this machine; the credential then travels in clear text",
    )
    collectors: CollectorsSettings = CollectorsSettings()

    def secret(self, key: str) -> Secret | None:
        """Return the credential `key`, from its value or its file, or None when neither is given."""
        value: SecretStr | None = getattr(self, key)
        path: Path | None = getattr(self, f"{key}_file")
        if value is None and path is None:
            return None
        return Secret(value.get_secret_value() if value else "", path=path)

    def required_secret(self, key: str) -> Secret:
        """Return the credential `key`; `problems` has made sure that it is there."""
        secret = self.secret(key)
        if secret is None:
            raise LookupError(f"{key} is not configured")
        return secret

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield (key, message) for what no single key can tell; a platform's settings extend it."""
        parts = urlsplit(self.url)
        if parts.scheme == "http" and not (self.allow_http or is_loopback(parts.hostname or "")):
            yield "url", "the credential would travel in clear text; use https://, or set allow_http: true"
        for key in self.credentials:
            yield from self._secret_problems(key)
        if (self.client_cert_file is None) != (self.client_key_file is None):
            yield "client_cert_file", "client_cert_file and client_key_file go together; give both"
        elif self.ca_file or self.client_cert_file:
            yield from self._tls_problems()

    def _secret_problems(self, key: str) -> Iterator[tuple[str, str]]:
        given = [name for name in (key, f"{key}_file") if getattr(self, name) is not None]
        if len(given) == 2:
            yield given[1], f"give either {key} or {key}_file, not both"
        elif given:
            try:
                self.required_secret(key).read()
            except ValueError as error:
                yield given[0], str(error)

    def missing_secret(self, key: str) -> Iterator[tuple[str, str]]:
        """Yield a problem when neither `key` nor its file is given; for a platform's `problems`."""
        if self.secret(key) is None:
            yield key, f"{key} is missing; give {key}_file (a file that holds it) or {key} (such as ${{VARIABLE}})"

    def tls_files(self) -> tuple[Path, ...]:
        """Return the files that TLS towards the platform needs, none for the system's authorities alone."""
        return tuple(file for file in (self.ca_file, self.client_cert_file, self.client_key_file) if file)

    def _tls_problems(self) -> Iterator[tuple[str, str]]:
        try:
            tls_context(self)
        except OSError:
            key = "ca_file" if self.ca_file else "client_cert_file"
            yield (
                key,
                "the certificate files cannot be read as PEM; check that they exist and that certificate and key match",
            )


def tls_context(settings: TargetSettings) -> ssl.SSLContext:
    """Build the TLS context that the target's files ask for; certificates are always verified.

    Raises OSError (ssl.SSLError is one) for a file that is missing or no PEM.
    """
    for file in settings.tls_files():
        read_regular(file)  # OpenSSL would wait for a pipe
    context = ssl.create_default_context(cafile=str(settings.ca_file) if settings.ca_file else None)
    if settings.client_cert_file and settings.client_key_file:
        # an empty password makes an encrypted key an error instead of a prompt on the terminal
        context.load_cert_chain(settings.client_cert_file, settings.client_key_file, password="")
    return context
