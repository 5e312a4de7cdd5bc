"""Decoding replies: tolerant of what is new, strict where a series needs a value, silent about contents."""

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
    "body",
    [
        b"",
        b" ",
        b"<html>",
        b'{"totals": {"users": 1}',
        b'{"totals": {"users": 1}} trailing',
        b'{"totals": {"users": NaN}}',
        b'{"totals": {"users": 01}}',
        b"{'totals': {}}",
        b'{"names": ["\xff"]}',
        b'{"names": ["\\ud800"]}',
        b'{"x": ' + b"[" * 100_000,
        b"\xef\xbb\xbf{}",
        b"\x1f\x8b\x08\x00",
    ],
)
def test_a_body_that_is_no_json_is_told_with_its_size_and_media_type_only(body: bytes) -> None:
    with pytest.raises(InvalidResponseError) as error:
        decode(reply(body, "text/html; charset=utf-8"), Site)

    assert str(error.value) == f"GET /statistics: the body is not JSON ({len(body)} bytes of text/html)"


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
