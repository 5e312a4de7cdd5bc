"""What the status code of a reply means: which error, and whether asking again may help."""

import re
from collections.abc import Mapping
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import msgspec

from exporter.errors import (
    BadRequestError,
    CollectError,
    ForbiddenError,
    InvalidResponseError,
    NotFoundError,
    ProxyLoginError,
    RateLimitedError,
    RedirectError,
    ServerError,
    UnauthorizedError,
)

RETRIED_STATUSES = frozenset({429, 500, 502, 503, 504})

ERROR_CODE = re.compile(r"[A-Za-z_]{1,64}")
"""What is taken for an error's code; anything else in the body of an error may be free text."""

MAX_FIELDS = 5


def error_for(
    method: str,
    endpoint: str,
    status: int,
    headers: Mapping[str, str],
    wait_seconds: float | None = None,
    code: str = "",
) -> CollectError:
    """Make the error of a reply that is not 200: `wait_seconds` is the pause it asked for, `code` its `error_code`."""
    message = f"{method} {endpoint} answered {status}"
    if status == 401:
        return UnauthorizedError(message)
    if status == 403:
        return ForbiddenError(message)
    if status == 404:
        return NotFoundError(message)
    if status == 407:
        return ProxyLoginError(f"{message}: the proxy asks for a login")
    if status == 429:
        return RateLimitedError(message, wait_seconds=wait_seconds)
    if 300 <= status < 400:
        return RedirectError(f"{message}, a redirect, which is not followed", location_path=_location_path(headers))
    if status >= 500:
        return ServerError(message, status=status, wait_seconds=wait_seconds)
    if status == 400:
        return BadRequestError(f"{message} ({code})" if code else message, error_code=code)
    return InvalidResponseError(message)


def error_code(body: bytes) -> str:
    """Read the code from the JSON body of an error: `error.code`, else `error`, else `code`; empty without one.

    A body that lists complaints by field, itself or in `errors`, has the names of these fields for a code.
    """
    try:
        reply: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    if not isinstance(reply, dict):
        return ""
    if "error" in reply or "code" in reply:
        error = reply.get("error", reply.get("code"))
        code = error.get("code") if isinstance(error, dict) else error
        return code if isinstance(code, str) and ERROR_CODE.fullmatch(code) else ""
    complaints = reply.get("errors", reply)
    if not isinstance(complaints, dict):
        return ""
    fields = (field for field, texts in complaints.items() if isinstance(texts, list) and ERROR_CODE.fullmatch(field))
    return ", ".join(islice(fields, MAX_FIELDS))


def _location_path(headers: Mapping[str, str]) -> str:
    try:
        return urlsplit(headers.get("location", "")).path
    except ValueError:
        return ""
