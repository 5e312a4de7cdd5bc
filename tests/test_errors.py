"""The tree of errors: every failure of a run has its state and its remedy."""

import pytest

from exporter import errors
from exporter.errors import CollectError, ConfigError, EngagementError, Problem, State


def subclasses(of: type[EngagementError]) -> list[type[EngagementError]]:
    return [of, *(inner for one in of.__subclasses__() for inner in subclasses(one))]


COLLECT_ERRORS = [error for error in subclasses(CollectError) if error is not CollectError]


@pytest.mark.parametrize("error", COLLECT_ERRORS)
def test_every_failure_of_a_run_has_a_state_and_a_remedy(error: type[CollectError]) -> None:
    assert isinstance(error.state, State)
    assert error.remedy or error.__name__ == "CollectError"


def test_every_state_of_a_failed_run_has_its_error() -> None:
    without_error = {State.PENDING, State.OK, State.INTERNAL_ERROR}

    assert {error.state for error in COLLECT_ERRORS} == set(State) - without_error  # type: ignore[attr-defined]


def test_the_states_are_the_contract() -> None:
    assert [str(state) for state in State] == [
        "pending",
        "ok",
        "unauthorized",
        "forbidden",
        "rate_limited",
        "unreachable",
        "timeout",
        "server_error",
        "invalid_response",
        "incomplete",
        "internal_error",
    ]


def test_the_modules_docstring_names_every_error_with_its_state() -> None:
    lines = {line.split()[0]: line.split() for line in (errors.__doc__ or "").splitlines() if line.strip()}

    for error in subclasses(EngagementError):
        assert error.__name__ in lines, error
        if error.__base__ is CollectError:
            assert lines[error.__name__][1] == error.state  # type: ignore[attr-defined]


def test_a_remedy_that_fits_better_replaces_the_usual_one() -> None:
    error = errors.InvalidResponseError("x", remedy="do this")

    assert (error.remedy, errors.InvalidResponseError.remedy != "do this") == ("do this", True)


def test_a_configurations_problems_are_told_in_the_order_of_the_file() -> None:
    error = ConfigError((Problem("c.yaml", 9, 1, "url", "is missing"), Problem("c.yaml", 2, 5, "", "is no mapping")))

    assert str(error) == "c.yaml:2:5: is no mapping\nc.yaml:9:1: url: is missing"
