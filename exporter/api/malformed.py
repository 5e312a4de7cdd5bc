"""Bodies that are no JSON as it should be: texts that are cut are mended, and of the rest it is said what is wrong."""

import codecs
import json
import re
from typing import Any

import msgspec

NOT_UTF8 = re.compile("[\udc80-\udcff]")
NOT_CUT = re.compile('[\udc80-\udcff](?!["\udc80-\udcff]|\\Z)')
BEYOND_ASCII = re.compile("[\x80-\ud7ff\ue000-\U0010ffff]")
"""What bytes become by "surrogateescape": those that are no UTF-8, such ones elsewhere than at the end of a text, and
characters that prove the others to be UTF-8."""

ESCAPE = re.compile(
    r"\\(?:(?P<pair>u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def document_of(body: bytes) -> Any:
    """Parse JSON whose texts may be cut in the middle of a character, or hold half of one: that becomes U+FFFD.

    A number too large for a float is a text then, which no series takes for a number. Raises ValueError or
    RecursionError.
    """
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass  # the slower way can mend it
    if _is_of_another_encoding(body):
        raise ValueError("not UTF-8")
    return json.loads(_mended(body), parse_float=_finite, parse_constant=_refused)


def fault_of(body: bytes) -> str:
    """Say why a body that `document_of` refused is no JSON; nothing of its contents is repeated."""
    start = body.lstrip()[:2]
    if not start:
        return "the body is empty"
    if body.startswith(codecs.BOM_UTF8):
        return "the body begins with a byte order mark (BOM), which JSON does not allow"
    if start == b"\x1f\x8b":
        return "the body is compressed, and its headers do not say so"
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in body[:4]:
        return "the body is in another encoding than UTF-8: it may be UTF-16"
    if start.startswith(b"<"):
        return "the body is a web page (HTML) or XML, not JSON"
    if _is_of_another_encoding(body):
        return "the body is in another encoding than UTF-8: it may be Latin-1"
    return _place_of_fault(body)


def _place_of_fault(body: bytes) -> str:
    try:
        msgspec.json.decode(_mended(body))
    except RecursionError:
        return "the body is nested too deeply"
    except msgspec.DecodeError as error:
        if "truncated" in str(error):
            return f"the body is cut off after {len(body)} bytes"
        if place := re.search(r"\(byte (\d+)\)", str(error)):
            return f"the body is not JSON from byte {place[1]} on"
    return "the body holds a number that is too large"


def _is_of_another_encoding(body: bytes) -> bool:
    """True if bytes are no UTF-8, unless it is the ends of texts that are cut, or other characters prove that it is."""
    text = body.decode(errors="surrogateescape")
    return bool(NOT_CUT.search(text)) and not BEYOND_ASCII.search(text)


def _mended(body: bytes) -> str:
    return ESCAPE.sub(lambda escape: r"\ufffd" if escape["half"] else escape[0], body.decode(errors="replace"))


def _finite(text: str) -> float | str:
    number = float(text)
    return text if number in (float("inf"), float("-inf")) else number


def _refused(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
