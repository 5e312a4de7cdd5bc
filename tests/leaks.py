"""Searching what a program says for secrets and people, in the forms in which a text may travel."""

import base64
import binascii
import html
import re
from collections.abc import Collection, Iterator
from datetime import datetime
from urllib.parse import unquote_plus

from exporter.demo.organisation import Organisation

WORD = re.compile(r"\w+")
ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))")
CONTROLS = {"n": "\n", "r": "\r", "t": "\t"}
URL_SAFE = str.maketrans("-_", "+/")
BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}")
HEXADECIMAL = re.compile(r"(?:[0-9a-fA-F]{2}){6,}")


def leaks(told: str, private: Collection[str]) -> list[str]:
    """Return which of the private texts are in `told`: as they are, percent-encoded, escaped, in base64 or in hex."""
    words_of = {text: WORD.findall(text) for text in private}
    found: set[str] = set()
    for view in _views(told):
        words = set(WORD.findall(view))
        # looking words up is much faster than searching for each of thousands of texts
        found |= {text for text in private if words.issuperset(words_of[text]) and text in view}
    return sorted(found)


def _views(told: str) -> Iterator[str]:
    """Yield the text as it is and as each decoding shows it; escapes may be doubled, as JSON within logfmt is."""
    yield told
    yield html.unescape(told)
    yield unquote_plus(told)
    unescaped = ESCAPE.sub(_unescaped, told)
    yield unescaped
    yield ESCAPE.sub(_unescaped, unescaped)
    yield "\n".join(_from_base64(told))
    yield "\n".join(_text(bytes.fromhex(digits)) for digits in set(HEXADECIMAL.findall(told)))


def _unescaped(match: re.Match[str]) -> str:
    digits = match[1] or match[2]
    return chr(int(digits, 16)) if digits else CONTROLS.get(match[3], match[3])


def _from_base64(told: str) -> Iterator[str]:
    """Yield what words in base64 hold, wherever in the word it begins."""
    for word in set(BASE64.findall(told)):
        for part in (word[start:] for start in range(4)):
            whole = part[: len(part) // 4 * 4]
            for encoded in (whole, part + "=" * (-len(part) % 4)):
                try:
                    yield _text(base64.b64decode(encoded.translate(URL_SAFE)))
                except binascii.Error:
                    continue


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")


def people(organisation: Organisation, now: datetime) -> set[str]:
    """Names, mail addresses, logins, addresses and long ids of everybody that the platforms know at `now`."""
    staff = organisation.academy.people(now)
    engineers = organisation.engineering.people(now)
    volunteers = organisation.crowd.users(now)
    return {
        *(text for one in staff for text in (one.mail, f"{one.first_name} {one.last_name}", one.id, one.site_id)),
        *(
            text
            for one in staff
            for text in (f"{one.last_name}, {one.first_name}", f"{one.last_name} {one.first_name}")
        ),
        *(text for one in engineers for text in (one.name, one.email)),
        *(text for one in volunteers for text in (one.name, one.fullname)),
        *organisation.crowd.standing(now).addresses,
    }
