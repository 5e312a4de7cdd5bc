"""VIKTOR's workspaces: pivoted rows, types, names, and the forms in which rows and lists arrive."""

from functools import partial

import pytest

from exporter.errors import InvalidResponseError

from .conftest import exposition_lines
from .viktor_environment import (
    STATISTICS,
    ClientFor,
    Collect,
    Environment,
    changed,
    documented,
    run_collector,
    values,
)


@pytest.fixture
def collect(client_for: ClientFor) -> Collect:
    return partial(run_collector, client_for)


async def test_workspaces_have_the_windows_of_months_only(collect: Collect) -> None:
    samples = await collect("workspaces", Environment())

    assert values(samples, "viktor_workspace_users") == {("12",): 30, ("57",): 8, ("404",): 2}
    assert values(samples, "viktor_workspace_monthly_active_users") == {
        ("12", "this_month"): 9,
        ("12", "last_month"): 15,
        ("57", "this_month"): 3,
        ("57", "last_month"): 4,
        ("61", "last_month"): 3,
    }
    assert values(samples, "viktor_workspace_daily_active_users") == {("12", "this_month"): 41, ("57", "this_month"): 5}


async def test_only_workspaces_with_series_have_info_and_all_are_counted(collect: Collect) -> None:
    """90 is a development workspace, 91 a test, 77 has no numbers, and 404 is not in the list: its name is unknown."""
    samples = await collect("workspaces", Environment())

    assert {labels[0] for labels in values(samples, "viktor_workspace_info")} == {"12", "57", "61"}
    assert values(samples, "viktor_workspaces") == {("DEVELOPMENT",): 1, ("PROJECT",): 3, ("PUBLIC",): 1, ("TEST",): 1}


async def test_a_name_with_any_characters_stays_one_line(collect: Collect) -> None:
    lines = exposition_lines(await collect("workspaces", Environment())).splitlines()

    name = r"Bridge \"A1\" \\ deck\n{x=\"1\"} ☃"
    assert f'viktor_workspace_info{{name="{name}",type="PUBLIC",visibility="PRIVATE",workspace="57"}} 1.0' in lines


async def test_the_configured_types_choose_the_workspaces(collect: Collect) -> None:
    collectors = {"workspaces": {"types": ["DEVELOPMENT"]}}
    samples = await collect("workspaces", Environment(), collectors=collectors)

    assert set(values(samples, "viktor_workspace_users")) == {("90",), ("404",)}


@pytest.mark.parametrize(("type", "label"), [(..., ""), (None, ""), ("ARCHIPELAGO", "ARCHIPELAGO")])
async def test_a_workspace_of_unknown_type_is_kept(type: object, label: str, collect: Collect) -> None:
    """Older environments give no type, newer ones may have more types."""
    environment = Environment({"workspaces": changed("workspaces", "results.0.type", type)})
    samples = await collect("workspaces", environment, collectors={"workspaces": {"types": ["TEST"]}})

    assert set(values(samples, "viktor_workspace_info")) == {("12", "Pile design", label, "INTERNAL")}
    assert values(samples, "viktor_workspaces")[label,] == 1


async def test_no_type_is_said_to_have_no_workspace_while_types_are_unknown(collect: Collect) -> None:
    untyped = {"count": 1, "results": [{"id": 12, "name": "Pile design", "visibility": None}]}
    samples = await collect("workspaces", Environment({"workspaces": untyped}))

    assert values(samples, "viktor_workspaces") == {("",): 1}
    assert ("12", "Pile design", "", "") in values(samples, "viktor_workspace_info")


async def test_the_list_asks_for_development_and_archived_workspaces_of_every_page(collect: Collect) -> None:
    environment = Environment(page_size=4)
    paged = await collect("workspaces", environment)

    lists = [request.url.params for request in environment.requests if request.url.path == "/api/workspaces/"]
    assert len(lists) == 2
    for params in lists:
        assert (params["limit"], params["include_development"], params["include_archived"]) == ("100", "true", "true")
    assert paged == await collect("workspaces", Environment())


async def test_a_list_nested_once_more_is_accepted(collect: Collect) -> None:
    """An older copy of the reference has `results` within `results`."""
    nested = {**documented("workspaces"), "results": {"results": documented("workspaces")["results"]}}

    samples = await collect("workspaces", Environment({"workspaces": nested}))
    assert samples == await collect("workspaces", Environment())


@pytest.mark.parametrize("member", ["total_users", "monthly_active_users", "daily_active_users.per_month"])
async def test_rows_may_come_as_one_object(member: str, collect: Collect) -> None:
    """The reference types these members as objects and describes them as lists."""
    rows = documented("statistics_workspaces")["workspaces"]
    for part in member.split("."):
        rows = rows[part]
    one_row, one_object = (
        Environment({"statistics_workspaces": changed("statistics_workspaces", f"workspaces.{member}", value)})
        for value in ([rows[0]], rows[0])
    )

    assert await collect("workspaces", one_object) == await collect("workspaces", one_row)


@pytest.mark.parametrize("member", ["total_users", "monthly_active_users", "daily_active_users.per_month"])
async def test_an_object_without_keys_is_no_row(member: str, collect: Collect) -> None:
    none, empty = (
        Environment({"statistics_workspaces": changed("statistics_workspaces", f"workspaces.{member}", value)})
        for value in ([], {})
    )

    assert await collect("workspaces", empty) == await collect("workspaces", none)


async def test_rows_of_one_month_add_their_workspaces(collect: Collect) -> None:
    """Nothing says that a period has a single row."""
    rows = [{"year": 2026, "month": 3, "12": 9}, {"year": 2026, "month": 3, "57": 3}]
    reply = changed("statistics_workspaces", "workspaces.monthly_active_users", rows)
    samples = await collect("workspaces", Environment({"statistics_workspaces": reply}))

    assert values(samples, "viktor_workspace_monthly_active_users") == {
        ("12", "this_month"): 9,
        ("57", "this_month"): 3,
    }


async def test_keys_that_are_no_workspace_and_counts_of_null_are_left_out(collect: Collect) -> None:
    rows = [{"year": 2026, "month": 3, "week": 11, "note": "partial", "12": None, "57": 0}]
    reply = changed("statistics_workspaces", "workspaces.monthly_active_users", rows)
    samples = await collect("workspaces", Environment({"statistics_workspaces": reply}))

    assert values(samples, "viktor_workspace_monthly_active_users") == {("57", "this_month"): 0}


@pytest.mark.parametrize("member", ["total_users", "monthly_active_users", "daily_active_users.per_month"])
@pytest.mark.parametrize(("key", "value"), [("year", ...), ("month", ...), ("month", "nine"), ("month", 13)])
async def test_a_row_without_its_period_is_refused(member: str, key: str, value: object, collect: Collect) -> None:
    reply = changed("statistics_workspaces", f"workspaces.{member}.0.{key}", value)

    with pytest.raises(InvalidResponseError, match=f"GET {STATISTICS}: .* in a row of workspaces.{member}") as error:
        await collect("workspaces", Environment({"statistics_workspaces": reply}))
    assert "nine" not in str(error.value)
