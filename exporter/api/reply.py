"""Replies of a platform: decoding into the types that a module declares, with errors that name endpoint and key."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import msgspec

from exporter.api import malformed, unreadable
from exporter.api.run import current_run
from exporter.api.unreadable import UnreadableValue
from exporter.errors import InvalidResponseError

T = TypeVar("T")

MAX_COUNT = 2**53
Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_COUNT)]
"""A number of things. A negative one, or one that a float cannot hold, is not a count and is refused."""

Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]
"""A share between 0 and 100 as APIs report it; series carry it divided by 100."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete 200 reply from `url`. `endpoint` is the path template; header names are lower case."""

    endpoint: str
    url: str
    headers: Mapping[str, str]
    body: bytes


@functools.cache
def _decoder(of: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(of)


def decode(reply: Reply, of: type[T]) -> T:
    """Decode the JSON body into `of` (a msgspec Struct, or a list of them); unknown keys are ignored.

    Optional values (`exporter.api.unreadable.OrUnknown`) that cannot be read are UNSET, and the run takes note of them.
    Raises InvalidResponseError that names the endpoint and the path of the offending key, never its value.
    """
    values: list[UnreadableValue] = []
    try:
        decoded = _decoder(of).decode(reply.body)  # type: ignore[arg-type]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        decoded, values = _read_tolerantly(reply, of)
    current_run().take_note(reply.endpoint, reply.url, unreadable.record_counter(of)(decoded), values)  # type: ignore[arg-type]
    return decoded  # type: ignore[no-any-return]


def _read_tolerantly(reply: Reply, of: type[T]) -> tuple[T, list[UnreadableValue]]:
    """Take the time to look at every record."""
    try:
        document = malformed.document_of(reply.body)
    except (ValueError, RecursionError):
        media_type = reply.headers.get("content-type", "no content type").split(";")[0].strip()[:60]
        raise InvalidResponseError(
            f"GET {reply.endpoint}: {malformed.fault_of(reply.body)} ({len(reply.body)} bytes of {media_type})"
        ) from None
    try:
        return unreadable.read(document, of)
    except (msgspec.ValidationError, RecursionError) as error:
        raise InvalidResponseError(f"GET {reply.endpoint}: {error}") from None
