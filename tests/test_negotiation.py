"""Which format and which encoding a scraper gets for what its headers say it prefers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.exposition import Format
from exporter.web.negotiation import negotiate, prefers_gzip

PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (PROMETHEUS, Format.OPENMETRICS),
        ("application/openmetrics-text", Format.OPENMETRICS),
        ("application/openmetrics-text; q=0.5, text/plain; q=0.3", Format.OPENMETRICS),
        ("APPLICATION/OpenMetrics-Text", Format.OPENMETRICS),
        ("application/openmetrics-text,text/plain", Format.OPENMETRICS),
        ("application/openmetrics-text;q=0.3,text/plain;q=0.5", Format.TEXT),
        ("application/openmetrics-text;q=0.3,*/*;q=0.5", Format.TEXT),
        ("application/openmetrics-text;q=0", Format.TEXT),
        ("application/openmetrics-text;q=nonsense", Format.TEXT),
        ("application/openmetrics-text;q=nan", Format.TEXT),
        ("text/plain", Format.TEXT),
        ("text/html,application/xhtml+xml,*/*;q=0.8", Format.TEXT),
        ("*/*", Format.TEXT),
        ("application/json", Format.TEXT),
        ("", Format.TEXT),
        (";,;q=,,", Format.TEXT),
    ],
)
def test_openmetrics_is_for_those_who_name_it_and_do_not_like_it_less(accept: str, form: Format) -> None:
    assert negotiate(accept) is form


@given(st.text(alphabet="apliton/xme*-=q.;,01 ", max_size=60))
def test_no_accept_header_breaks_the_page(accept: str) -> None:
    assert negotiate(accept) in Format


@pytest.mark.parametrize(
    ("accept_encoding", "expected"),
    [
        ("gzip", True),
        ("gzip, deflate, br", True),
        ("GZIP;q=0.1", True),
        ("*", True),
        ("identity, gzip", True),
        ("identity;q=0.5, *;q=0.6", True),
        ("gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("identity, gzip;q=0.5", False),
        ("identity", False),
        ("deflate, br", False),
        ("gzip;q=nonsense", False),
        ("", False),
    ],
)
def test_gzip_is_for_those_who_accept_it_and_do_not_like_it_less(accept_encoding: str, expected: bool) -> None:
    assert prefers_gzip(accept_encoding) is expected


@given(st.text(max_size=60))
def test_no_accept_encoding_header_breaks_the_page(accept_encoding: str) -> None:
    assert prefers_gzip(accept_encoding) in (True, False)
