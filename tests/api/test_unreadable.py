"""One odd record of many: what is optional of it becomes unknown and is counted; identities and states refuse."""

import json
from typing import Annotated, Any, Generic, TypeVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Struct, field

from exporter.api.reply import Count, Percent, Reply, decode
from exporter.api.run import JUDGED_AT_ONCE, Run, new_run
from exporter.api.unreadable import OrUnknown, read, record_counter
from exporter.errors import InvalidResponseError


class Role(Struct):
    alias: str


class Learner(Struct, rename="camel"):
    id: str = field(name="_id")
    status: str
    score: OrUnknown[Percent]
    role: OrUnknown[Role | str] = ""
    time_spent: OrUnknown[Annotated[float, msgspec.Meta(ge=0)] | None] = None


class Course(Struct):
    id: int
    learners: list[Learner]


L = TypeVar("L", bound=Learner)


class Nested(Struct, Generic[L]):
    results: list[L]


class Page(Struct, Generic[L]):
    count: Count
    results: list[L] | Nested[L]


GOOD = {"_id": "a1", "status": "active", "score": 50, "role": {"alias": "student"}, "timeSpent": 5.5}


def learners(number: int, **odd: Any) -> list[dict[str, Any]]:
    """Make so many learners, of whom the first has other values."""
    return [{**GOOD, "_id": f"a{n}", **(odd if n == 1 else {})} for n in range(1, number + 1)]


def decoded(document: Any, of: Any = list[Learner]) -> tuple[Any, Run]:
    with new_run() as run:
        found = decode(Reply("/learners", "https://site.test/learners", {}, json.dumps(document).encode()), of)
    return found, run


@pytest.mark.parametrize("score", [105, -1, "80", None, [], {}, True, 10**400])
def test_a_value_that_cannot_be_read_is_unknown_and_told_with_its_place(score: Any) -> None:
    found, run = decoded(learners(3, score=score))

    assert [learner.score for learner in found] == [UNSET, 50, 50]
    assert [str(values) for values in run.unreadable()] == ["GET /learners: $[0].score of record a1"]
    assert (run.unreadable()[0].count, run.records["/learners"]) == (1, 3)
    run.require_readable()


def test_a_key_that_is_missing_is_unknown_unless_it_has_a_meaning() -> None:
    document = learners(2)
    del document[0]["score"], document[1]["timeSpent"]
    found, run = decoded(document)

    assert [(learner.score, learner.time_spent) for learner in found] == [(UNSET, 5.5), (50, None)]
    assert [values.key for values in run.unreadable()] == ["$[...].score"]


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        ({"_id": 7}, "Expected `str`, got `int` - at `$[0]._id`"),
        ({"_id": None}, "Expected `str`, got `null` - at `$[0]._id`"),
        ({"status": None}, "Expected `str`, got `null` - at `$[0].status`"),
    ],
)
def test_ids_and_what_decides_a_state_refuse_whatever_else_is_odd(odd: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidResponseError) as error:
        decoded(learners(1000, score=105, **odd))

    assert str(error.value) == f"GET /learners: {message}"


def test_a_record_without_a_status_refuses() -> None:
    document = learners(1000, score=105)
    del document[0]["status"]
    with pytest.raises(InvalidResponseError, match=r"missing required field `status` - at `\$\[0\]`"):
        decoded(document)


def test_records_are_found_wherever_they_are() -> None:
    odd = learners(2, role={"alias": None})
    for document, of, path in (
        (odd, list[Learner], "$[0].role"),
        ([{"id": 3, "learners": odd}], list[Course], "$[0].learners[0].role"),
        ({"count": 2, "results": odd}, Page[Learner], "$.results[0].role"),
        ({"count": 2, "results": {"results": odd}}, Page[Learner], "$.results.results[0].role"),
    ):
        _, run = decoded(document, of)
        assert [value.path for values in run.unreadable() for value in values.first] == [path]
        assert run.records["/learners"] == 2


def test_an_id_that_may_be_an_address_is_not_told() -> None:
    _, run = decoded(learners(1, _id="ada@example.org", score=105))

    assert [str(values) for values in run.unreadable()] == ["GET /learners: $[0].score"]


def taken(run: Run, records: int, odd: int, key: str = "score", value: Any = 105) -> None:
    """Let a run read so many records, of which the first ones are odd."""
    document = [{**GOOD, "_id": f"a{n}", **({key: value} if n < odd else {})} for n in range(records)]
    found, values = read(document, list[Learner])
    run.take_note("/learners", "https://site.test/learners", record_counter(list[Learner])(found), values)


@pytest.mark.parametrize(("records", "odd"), [(1, 1), (10, 1), (200, 2), (10_000, 100)])
def test_one_record_or_one_in_a_hundred_may_be_odd(records: int, odd: int) -> None:
    run = Run()
    taken(run, records, odd)

    run.require_readable()
    assert [values.count for values in run.unreadable()] == [odd]


@pytest.mark.parametrize(("records", "odd"), [(2, 2), (100, 2), (199, 2), (10_000, 101)])
def test_more_is_another_way_of_writing_and_refuses_the_run(records: int, odd: int) -> None:
    run = Run()
    taken(run, records, odd)

    with pytest.raises(InvalidResponseError) as error:
        run.require_readable()
    assert str(error.value) == f"GET /learners: `$[...].score` cannot be read in {odd} of {records} records"


def test_the_share_is_that_of_the_whole_run_and_not_of_a_page() -> None:
    run = Run()
    taken(run, 20, 5)
    taken(run, 980, 0)

    run.require_readable()


def test_a_list_full_of_odd_values_is_not_read_to_its_end() -> None:
    with pytest.raises(InvalidResponseError, match="cannot be read in"):
        taken(Run(), JUDGED_AT_ONCE + 1, JUDGED_AT_ONCE + 1)


def test_a_page_that_is_read_again_counts_once() -> None:
    run = Run()
    taken(run, 500, 3)
    taken(run, 500, 3)

    assert [values.count for values in run.unreadable()] == [3]


def test_what_is_only_a_label_never_refuses() -> None:
    run = Run()
    taken(run, 100, 60, "role", None)

    run.require_readable()
    assert [values.count for values in run.unreadable()] == [60]


def test_of_many_records_a_few_are_named() -> None:
    run = Run()
    taken(run, 1000, 7)

    named = ", ".join(f"$[{n}].score of record a{n}" for n in range(5))
    assert str(run.unreadable()[0]) == f"GET /learners: {named} and 2 more"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=4,
)
RECORDS = st.lists(
    st.fixed_dictionaries(
        {"_id": st.text(), "status": st.text()},
        optional={"score": st.integers(0, 100) | JSON, "role": st.text() | JSON, "timeSpent": st.floats(0, 9) | JSON},
    ),
    max_size=6,
)


@given(RECORDS)
def test_what_can_be_read_is_read_as_ever_and_only_the_rest_is_told(document: list[dict[str, Any]]) -> None:
    found, values = read(document, list[Learner])

    assert [learner.id for learner in found] == [record["_id"] for record in document]
    unknown = {
        f"$[{n}].{key}"
        for n, learner in enumerate(found)
        for key, value in (("score", learner.score), ("role", learner.role), ("timeSpent", learner.time_spent))
        if value is UNSET
    }
    assert {value.path for value in values} == unknown
    for learner, record in zip(found, document, strict=True):
        if UNSET not in (learner.score, learner.role, learner.time_spent):
            assert learner == msgspec.convert(record, Learner)
