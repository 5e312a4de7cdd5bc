"""The header `Link`: every legal form, the forms that servers send besides, and what nobody can read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.api.link_header import next_target

NEXT = "https://site.test/a?b=1"


@pytest.mark.parametrize(
    "header",
    [
        '<{}>; rel="next"',
        "<{}>; rel=next",
        "<{}>;rel=next",
        '<{}>; REL="Next"',
        '<{}> ; rel = "next"',
        '<{}>; rel="last next"',
        '<{}>; rel="next last"',
        '<{}>; rel="http://example.org/rel/x next"',
        '<{}>; title="page 2, of 3"; rel="next"',
        '<{}>; title="a<b"; rel="next"',
        r'<{}>; title="a \" b"; rel="next"',
        '<{}>; title=""; rel="next"',
        "<{}>; title*=UTF-8''page%202; rel=next",
        '<{}>; rel="next"; anchor="#x"',
        '<{}>; rel="next"; rel="prev"',
        '<{}>; hreflang; rel="next";',
        '<x>; rel="prev", <{}>; rel="next"',
        '<{}>; rel="next",<x>; rel="first"',
        '<{}>; rel="next", <x>; rel="next"',
        ', <x>; rel="prev" ,, <{}>; rel="next", ',
        '<x>; rel="next-archive", <{}>; rel="next"',
        '<x>; rel="prev"; rel="next", <{}>; rel="next"',
        "<x>, <{}>; rel=next",
        "<{}>; rel='next'",
        "<{}>; rel='last next'",
        '{}; rel="next"',
    ],
)
def test_the_next_page_is_found(header: str) -> None:
    assert next_target(header.format(NEXT)) == NEXT


@pytest.mark.parametrize(
    "header",
    [
        "",
        " , ",
        "<x>",
        '<x>; rel="prev"',
        '<x>; rel="next-archive"',
        '<x>; rel="http://example.org/next"',
        '<x>; rel=""',
        '<x>; rev="next"',
        '<x>; rel="prev"; rel="next"',
        '<x>; title="; rel=next"',
        '<x>; title="<y>; rel=next"',
    ],
)
def test_without_one_there_is_none(header: str) -> None:
    assert next_target(header) is None


@pytest.mark.parametrize("header", [f"<{NEXT}>; rel=next".replace(NEXT, target) for target in ("", "?b=1,2", "/a;b")])
def test_a_target_may_be_relative_and_hold_what_separates_links(header: str) -> None:
    assert next_target(header) == header.partition("<")[2].partition(">")[0]


@pytest.mark.parametrize(
    "header",
    [
        '<x; rel="next"',
        'x>; rel="next"',
        '<x>; rel="next',
        "<x> rel=next",
        '<x>; rel="prev" <y>; rel="next"',
        '"next"',
        "<x>; rel=next>",
        '<x>; rel="prev", ; rel="next"',
    ],
)
def test_what_cannot_be_read_to_its_end_is_an_error(header: str) -> None:
    with pytest.raises(ValueError, match="not a Link header"):
        next_target(header)


@given(st.text(alphabet="<>;,\"' =\\axnertl", max_size=60))
def test_nothing_else_happens(header: str) -> None:
    try:
        assert next_target(header) is None or isinstance(next_target(header), str)
    except ValueError as error:
        assert str(error) == "not a Link header"  # noqa: PT017 - another error is what is looked for


def test_a_long_header_takes_no_longer_than_its_length() -> None:
    assert next_target("<x>; " + " ; " * 100_000 + "rel=next") == "x"
    with pytest.raises(ValueError, match="not a Link header"):
        next_target("<x>" + "; a = " * 100_000 + '"')
