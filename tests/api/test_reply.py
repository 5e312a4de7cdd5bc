"""Decoding replies: tolerant of what is new, strict where a series needs a value, silent about contents."""

import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from exporter.api.reply import Count, Percent, Reply, decode
from exporter.errors import InvalidResponseError


class Totals(Struct):
    users: Count
    progress: Percent = 0.0


class Site(Struct):
    totals: Totals
    names: list[str] = []


def reply(body: bytes, content_type: str = "application/json; charset=utf-8") -> Reply:
    return Reply("/statistics", "https://site.test/statistics", {"content-type": content_type}, body)


def test_unknown_keys_are_ignored() -> None:
    assert decode(reply(b'{"totals": {"users": 7, "new": [{}]}, "more": null}'), Site) == Site(Totals(7))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{}", "Object missing required field `totals`"),
        (b'{"totals": {}}', "Object missing required field `users` - at `$.totals`"),
        (b'{"totals": null}', "Expected `object`, got `null` - at `$.totals`"),
        (b'{"totals": []}', "Expected `object`, got `array` - at `$.totals`"),
        (b'{"totals": {"users": "7"}}', "Expected `int`, got `str` - at `$.totals.users`"),
        (b'{"totals": {"users": null}}', "Expected `int`, got `null` - at `$.totals.users`"),
        (b'{"totals": {"users": true}}', "Expected `int`, got `bool` - at `$.totals.users`"),
        (b'{"totals": {"users": 7.5}}', "Expected `int`, got `float` - at `$.totals.users`"),
        (b'{"totals": {"users": -1}}', "Expected `int` >= 0 - at `$.totals.users`"),
        (b'{"totals": {"users": 9007199254740993}}', "Expected `int` <= 9007199254740992 - at `$.totals.users`"),
        (b'{"totals": {"users": 1, "progress": 101}}', "Expected `float` <= 100.0 - at `$.totals.progress`"),
        (b'{"totals": {"users": 1}, "names": ["a", 7]}', "Expected `str`, got `int` - at `$.names[1]`"),
        (b"null", "Expected `object`, got `null`"),
        (b"[]", "Expected `object`, got `array`"),
    ],
)
def test_a_value_that_a_series_needs_is_there_and_of_its_type_or_the_key_is_named(body: bytes, message: str) -> None:
    with pytest.raises(InvalidResponseError) as error:
        decode(reply(body), Site)

    assert str(error.value) == f"GET /statistics: {message}"


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"", "the body is empty"),
        (b" ", "the body is empty"),
        (b"<html>", "the body is a web page (HTML) or XML, not JSON"),
        (b" <?xml version='1.0'?>", "the body is a web page (HTML) or XML, not JSON"),
        (b'{"totals": {"users": 1}', "the body is cut off after 23 bytes"),
        (b'{"totals": {"users": 1}, "names": ["ada', "the body is cut off after 39 bytes"),
        (b'{"totals": {"users": 1}, "names": ["Zo\xc3', "the body is cut off after 39 bytes"),
        (b'{"totals": {"users": "1"}, "names": ["ada"', "the body is cut off after 42 bytes"),
        (b'{"totals": {"users": 1}} trailing', "the body is not JSON from byte 26 on"),
        (b'{"totals": {"users": NaN}}', "the body is not JSON from byte 21 on"),
        (b'{"totals": {"users": 01}}', "the body is not JSON from byte 22 on"),
        (b"{'totals': {}}", "the body is not JSON from byte 1 on"),
        (b"Service unavailable", "the body is not JSON from byte 0 on"),
        (b'{"x": ' + b"[" * 100_000, "the body is nested too deeply"),
        (b'{"x": ' + b"1" * 5_000 + b"}", "the body holds a number that is too large"),
        (b"\xef\xbb\xbf{}", "the body begins with a byte order mark (BOM), which JSON does not allow"),
        ("{}".encode("utf-16"), "the body is in another encoding than UTF-8: it may be UTF-16"),
        ("{}".encode("utf-16-be"), "the body is in another encoding than UTF-8: it may be UTF-16"),
        ('{"names": ["Zoé B"]}'.encode("latin-1"), "the body is in another encoding than UTF-8: it may be Latin-1"),
        (gzip.compress(b"{}"), "the body is compressed, and its headers do not say so"),
    ],
)  # fmt: skip
def test_of_a_body_that_is_no_json_it_is_told_what_is_wrong_with_it(body: bytes, fault: str) -> None:
    with pytest.raises(InvalidResponseError) as error:
        decode(reply(body, "text/html; charset=utf-8"), Site)

    assert str(error.value) == f"GET /statistics: {fault} ({len(body)} bytes of text/html)"


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"caf\\ud800"', "caf\ufffd"),
        (b'"caf\\uDE00 noir"', "caf\ufffd noir"),
        (b'"\\ud800\\ud83d\\ude00\\udc00"', "\ufffd\U0001f600\ufffd"),
        (b'"\\ud800\\u0041"', "\ufffdA"),
        (b'"a\\\\ud800"', "a\\ud800"),
        (b'"caf\\ud800\\n\\"x\\""', 'caf\ufffd\n"x"'),
        (b'"caf\xc3"', "caf\ufffd"),
        (b'"\xe2\x82"', "\ufffd"),
        (b'"caf\xc3\xa9 and \xc3 noir"', "café and \ufffd noir"),
    ],
)
def test_a_text_that_was_cut_in_the_middle_of_a_character_is_mended(body: bytes, name: str) -> None:
    assert decode(reply(b'{"totals": {"users": 7}, "names": [' + body + b"]}"), Site) == Site(Totals(7), [name])


def test_a_body_without_a_media_type_is_told_as_such() -> None:
    with pytest.raises(InvalidResponseError, match="no content type"):
        decode(Reply("/statistics", "https://site.test", {}, b"<"), Site)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_no_message_repeats_a_value(document: Any) -> None:
    marked = json.dumps({"totals": {"users": "ada@example.org"}, "names": ["ada@example.org", document]})
    with pytest.raises(InvalidResponseError) as error:
        decode(reply(marked.encode()), Site)

    assert "ada" not in str(error.value)
