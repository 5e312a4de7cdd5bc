"""What a status code means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.api.status import RETRIED_STATUSES, error_code, error_for
from exporter.errors import RedirectError, ServerError, State


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (201, State.INVALID_RESPONSE),
        (204, State.INVALID_RESPONSE),
        (206, State.INVALID_RESPONSE),
        (301, State.INVALID_RESPONSE),
        (304, State.INVALID_RESPONSE),
        (400, State.INVALID_RESPONSE),
        (401, State.UNAUTHORIZED),
        (402, State.INVALID_RESPONSE),
        (403, State.FORBIDDEN),
        (404, State.INVALID_RESPONSE),
        (407, State.UNREACHABLE),
        (429, State.RATE_LIMITED),
        (451, State.INVALID_RESPONSE),
        (500, State.SERVER_ERROR),
        (501, State.SERVER_ERROR),
        (503, State.SERVER_ERROR),
        (599, State.SERVER_ERROR),
    ],
)
def test_every_status_has_its_state_and_is_named_in_the_message(status: int, state: State) -> None:
    error = error_for("GET", "/things", status, {})

    assert error.state is state
    assert str(error).startswith(f"GET /things answered {status}")
    assert error.remedy


def test_only_statuses_that_may_pass_are_retried() -> None:
    assert {429, 500, 502, 503, 504} == RETRIED_STATUSES


def test_a_server_error_knows_its_status_and_pause() -> None:
    error = error_for("GET", "/things", 503, {}, 7.0)

    assert isinstance(error, ServerError)
    assert (error.status, error.wait_seconds) == (503, 7.0)


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("https://elsewhere.test/account/signin?next=/stats", "/account/signin"),
        ("/signin", "/signin"),
        ("", ""),
        ("http://[broken", ""),
    ],
)
def test_of_a_redirect_only_the_path_is_kept(location: str, path: str) -> None:
    error = error_for("GET", "/things", 302, {"location": location})

    assert isinstance(error, RedirectError)
    assert error.location_path == path


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"error": {"code": "missing_scope", "message": "x"}}', "missing_scope"),
        (b'{"error": "invalid_client"}', "invalid_client"),
        (b'{"code": "not_found"}', "not_found"),
        (b'{"org_domain": ["Unknown."], "non_field_errors": ["x"]}', "org_domain, non_field_errors"),
        (b'{"status": 400, "message": "x", "errors": {"offset": ["must be a number"]}}', "offset"),
        (b'{"errors": ["ada"], "ada@example.org": ["x"], "note": "x"}', ""),
        (b'{"a": [], "b": [], "c": [], "d": [], "e": [], "f": []}', "a, b, c, d, e"),
        (b'{"error": {"code": 7}}', ""),
        (b'{"error": "two words"}', ""),
        (b'{"error": "ada@example.org"}', ""),
        (b'{"error": "' + b"x" * 65 + b'"}', ""),
        (b'{"error": null}', ""),
        (b"[]", ""),
        (b"null", ""),
        (b"<html>", ""),
        (b"\xff\xfe", ""),
        (b"[" * 100_000, ""),
        (b"", ""),
    ],
)
def test_the_code_of_an_error_is_one_word_or_nothing(body: bytes, code: str) -> None:
    assert error_code(body) == code


@given(st.binary(max_size=50))
def test_no_body_of_an_error_breaks_the_run(body: bytes) -> None:
    assert isinstance(error_code(body), str)
