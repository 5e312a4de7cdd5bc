"""The ways of paging: a walk gives every record once, or it raises IncompleteError."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any

import httpx
import pytest
import structlog.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct, field

from exporter.api import pagination
from exporter.api.client import Client
from exporter.api.pagination import children, keyset_pages, link_pages, offset_list
from exporter.errors import (
    CollectError,
    IncompleteError,
    InvalidResponseError,
    NotFoundError,
    ServerError,
    TooLargeError,
)
from tests.fakes import Chunks, Handler, Script, make_client, ok, status

URL = "https://site.test/api/things"


class Thing(Struct):
    id: int


class OffsetPage(Struct):
    records: list[Thing] = field(name="things")
    total: int = field(name="totalCount")


def identity(thing: Thing) -> int:
    return thing.id


def things(ids: list[int]) -> list[dict[str, int]]:
    return [{"id": id_} for id_ in ids]


async def by_offset(client: Client) -> AsyncIterator[list[Thing]]:
    yield await offset_list(client, "/things", OffsetPage, identity)


def by_keyset(client: Client) -> AsyncIterator[list[Thing]]:
    return keyset_pages(client, "/things", list[Thing], identity, {"limit": 2})


def by_link(client: Client) -> AsyncIterator[list[Thing]]:
    return link_pages(client, "/things", list[Thing], identity)


Walk = Callable[[Client], AsyncIterator[list[Thing]]]
Change = Callable[[list[int]], list[int]]


async def ids(walk: Walk, handler: Handler) -> list[int]:
    async with make_client(handler).session() as client:
        return [thing.id async for page in walk(client) for thing in page]


def offset_page(records: list[int], total: int) -> httpx.Response:
    return ok({"things": things(records), "totalCount": total})


def link_page(records: list[int], url: str | None = None) -> httpx.Response:
    return ok(things(records), **({"link": f'<{url}>; rel="next"'} if url else {}))


class Paged:
    """A platform with a list of `ids`, `size` to a page, that understands all ways."""

    def __init__(self, records: list[int], size: int) -> None:
        self.records, self.size = records, size

    def offset(self, request: httpx.Request) -> httpx.Response:
        start = int(request.url.params.get("offset", 0))
        return offset_page(self.records[start : start + self.size], len(self.records))

    def keyset(self, request: httpx.Request) -> httpx.Response:
        last_id = int(request.url.params["last_id"])
        return ok(things([id_ for id_ in sorted(self.records) if id_ > last_id][: self.size]))

    def link(self, request: httpx.Request) -> httpx.Response:
        after = int(request.url.params.get("next", -1))
        following = [id_ for id_ in sorted(self.records) if id_ > after]
        page = following[: self.size]
        return link_page(page, f"/api/things?next={page[-1]}" if len(following) > self.size else None)


WALKS = {"offset": by_offset, "keyset": by_keyset, "link": by_link}


@pytest.mark.parametrize("way", WALKS)
@given(records=st.lists(st.integers(1, 10**9), unique=True, max_size=30), size=st.integers(2, 7))
@settings(max_examples=20)
def test_whatever_its_length_a_list_arrives_whole_and_every_record_once(
    way: str, records: list[int], size: int
) -> None:
    found = asyncio.run(ids(WALKS[way], getattr(Paged(records, size), way)))

    assert sorted(found) == sorted(records)
    assert len(found) == len(set(found))


class Changing(Paged):
    """A list that is changed before each page, in order, and remembers what it was."""

    def __init__(self, records: list[int], size: int, changes: Iterable[Sequence[Change]]) -> None:
        super().__init__(records, size)
        self.changes = iter(changes)
        self.moments = [list(records)]

    def reply(self, way: str) -> Handler:
        def handler(request: httpx.Request) -> httpx.Response:
            for change in next(self.changes, ()):
                self.records = change(self.records)
            self.moments.append(self.records)
            reply: httpx.Response = getattr(self, way)(request)
            return reply

        return handler


def removed(position: int) -> Change:
    return lambda records: [id_ for number, id_ in enumerate(records) if number != position % len(records)]


def added(position: int, id_: int) -> Change:
    def change(records: list[int]) -> list[int]:
        at = position % (len(records) + 1)
        return [*records[:at], id_, *records[at:]]

    return change


NEW_IDS = st.integers(1000, 10**6)
SINGLE = st.one_of(st.builds(removed, st.integers(0, 40)), st.builds(added, st.integers(0, 40), NEW_IDS))
EXCHANGE = st.tuples(st.builds(removed, st.integers(0, 40)), st.builds(added, st.integers(0, 40), NEW_IDS))


@given(
    length=st.integers(2, 20),
    size=st.integers(2, 6),
    changes=st.lists(st.one_of(st.just(()), st.tuples(SINGLE)), max_size=12),
    exchange=st.none() | st.tuples(st.integers(0, 12), EXCHANGE),
)
@settings(max_examples=200)
def test_a_list_that_changes_under_an_offset_walk_is_what_it_was_at_some_moment_or_nothing(
    length: int, size: int, changes: list[tuple[Change, ...]], exchange: tuple[int, tuple[Change, ...]] | None
) -> None:
    """Records come and go between pages; once, one goes and another comes at the same time, so that no total tells."""
    if exchange is not None:
        at, both = exchange
        changes = [*changes[:at], both]
    changing = Changing(list(range(length)), size, changes)
    try:
        found = asyncio.run(ids(by_offset, changing.reply("offset")))
    except IncompleteError:
        return
    assert sorted(found) in [sorted(moment) for moment in changing.moments]


@pytest.mark.parametrize("way", ["keyset", "link"])
@given(
    length=st.integers(2, 20),
    size=st.integers(1, 6),
    changes=st.lists(st.lists(SINGLE, max_size=2), max_size=12),
)
@settings(max_examples=100)
def test_a_walk_by_cursor_has_all_that_stayed_and_nothing_that_never_was(
    way: str, length: int, size: int, changes: list[list[Change]]
) -> None:
    """Its pages are of several moments: what came or went meanwhile may be in or not, and nothing is counted twice."""
    changing = Changing(list(range(1, length + 1)), size, changes)
    found = asyncio.run(ids(WALKS[way], changing.reply(way)))

    assert len(found) == len(set(found))
    assert set.intersection(*map(set, changing.moments)) <= set(found) <= set.union(*map(set, changing.moments))


class Weighty(Paged):
    """A keyset list of records that weigh so many bytes each, and hold what the walk has no use for."""

    def __init__(self, weights: dict[int, int]) -> None:
        super().__init__(list(weights), 100)
        self.weights = weights
        self.limits: list[int] = []

    def keyset(self, request: httpx.Request) -> httpx.Response:
        last_id, limit = int(request.url.params["last_id"]), int(request.url.params["limit"])
        self.limits.append(limit)
        page = [id_ for id_ in sorted(self.records) if id_ > last_id][:limit]
        body = json.dumps([{"id": id_, "info": "x" * self.weights[id_]} for id_ in page]).encode()
        return httpx.Response(200, stream=Chunks([body]))


def by_large_keyset(client: Client) -> AsyncIterator[list[Thing]]:
    return keyset_pages(client, "/things", list[Thing], identity, {"limit": 100})


async def of_weighty(platform: Weighty) -> list[int]:
    async with make_client(platform.keyset, max_body_bytes=10_000).session() as client:
        return [thing.id async for page in by_large_keyset(client) for thing in page]


async def test_a_page_that_is_too_large_is_halved_until_it_is_not_and_the_log_says_so() -> None:
    """PYBOSSA sends the page code of each project with it: a hundred of 720 kB are more than the default allows."""
    platform = Weighty(dict.fromkeys(range(1, 151), 300))
    with structlog.testing.capture_logs() as logs:
        assert await of_weighty(platform) == list(range(1, 151))

    assert platform.limits == [100, 50, 25, 25, 25, 25, 25, 25, 25]
    assert [(log["target"], log["endpoint"], log["records"]) for log in logs if "too large" in log["event"]] == [
        ("site", "/things", 50),
        ("site", "/things", 25),
    ]


async def test_a_single_record_that_is_too_large_is_told_as_that() -> None:
    with pytest.raises(TooLargeError, match="/things: the reply is larger than 10000 bytes"):
        await of_weighty(Weighty({1: 10, 2: 20_000, 3: 10}))


@given(weights=st.lists(st.integers(0, 9_000), max_size=40))
@settings(max_examples=25)
def test_whatever_its_records_weigh_a_list_arrives_whole(weights: list[int]) -> None:
    platform = Weighty(dict(enumerate(weights, start=1)))

    assert asyncio.run(of_weighty(platform)) == list(range(1, len(weights) + 1))


@pytest.mark.parametrize("way", WALKS)
async def test_an_empty_list_is_whole(way: str) -> None:
    assert await ids(WALKS[way], getattr(Paged([], 2), way)) == []


COMPLETE: list[tuple[str, Walk, list[httpx.Response], list[int], list[str]]] = [
    (
        "offset: pages are as long as the platform likes, and begin with the last record of the one before",
        by_offset,
        [offset_page([1, 2, 3], 6), offset_page([3, 4], 6), offset_page([4, 5, 6], 6)],
        [1, 2, 3, 4, 5, 6],
        ["", "offset=2", "offset=3"],
    ),
    (
        "offset: a list that changed is read anew",
        by_offset,
        [offset_page([1, 2], 4), offset_page([3, 4], 3), offset_page([2, 3], 3), offset_page([3, 4], 3)],
        [2, 3, 4],
        ["", "offset=1", "", "offset=1"],
    ),
    (
        "keyset: a short page is no end, since hidden rows shorten it",
        by_keyset,
        [ok(things([3, 1])), ok(things([7])), ok([])],
        [3, 1, 7],
        ["limit=2&last_id=0", "limit=2&last_id=3", "limit=2&last_id=7"],
    ),
    (
        "link: relative to the page that it stands on",
        by_link,
        [link_page([1], "?next=a"), link_page([2, 3], f"{URL}?next=b"), link_page([4])],
        [1, 2, 3, 4],
        ["", "next=a", "next=b"],
    ),
    (
        "link: a record that slips onto the next page is counted once",
        by_link,
        [link_page([1, 2], "?next=a"), link_page([2, 3])],
        [1, 2, 3],
        ["", "next=a"],
    ),
    (
        "link: an empty page, and one that brings nothing new, lead on as any other",
        by_link,
        [link_page([], "?next=a"), link_page([1], "?next=b"), link_page([1], "?next=c"), link_page([2])],
        [1, 2],
        ["", "next=a", "next=b", "next=c"],
    ),
]


@pytest.mark.parametrize(
    ("walk", "pages", "found", "queries"), [case[1:] for case in COMPLETE], ids=[c[0] for c in COMPLETE]
)
async def test_a_list_in_uneven_pages_is_walked_to_its_end(
    walk: Walk, pages: list[httpx.Response], found: list[int], queries: list[str]
) -> None:
    script = Script(*pages)

    assert await ids(walk, script) == found
    assert [request.url.query.decode() for request in script.requests] == queries


CHANGED = "the list changed each of the 3 times that it was read"

INCOMPLETE: list[tuple[str, Walk, list[httpx.Response], str, int]] = [
    ("offset: short", by_offset, [offset_page([1, 2], 5), offset_page([2], 5)],
     "2 records arrived, .* counts 5", 2),
    ("offset: pages of one record, which have no room for the overlap", by_offset, [offset_page([1], 2)],
     "1 records arrived, .* counts 2", 2),
    ("offset: nothing of a total", by_offset, [offset_page([], 5)], "0 records arrived", 1),
    ("offset: more than the total", by_offset, [offset_page([1, 2, 3], 2)], "3 records arrived, .* counts 2", 1),
    ("offset: one record twice on a page", by_offset, [offset_page([1, 1], 2)], "1 records arrived, .* counts 2", 1),
    ("offset: shifted", by_offset, [offset_page([1, 2], 4), offset_page([3, 4], 4)] * 3, CHANGED, 6),
    ("offset: grown", by_offset, [offset_page([1, 2], 4), offset_page([2, 3, 4], 5)] * 3, CHANGED, 6),
    ("offset: a record again", by_offset, [offset_page([1, 2], 4), offset_page([2, 3, 1], 4)] * 3, CHANGED, 6),
    ("offset: the same page for ever", by_offset, [offset_page([1, 2], 100)], "a page repeated what earlier", 2),
    ("keyset: the server ignores last_id", by_keyset, [ok(things([1, 2]))], "a page repeated", 2),
    ("keyset: the server goes back", by_keyset, [ok(things([5, 6])), ok(things([3, 7]))], "a page repeated", 2),
    ("link: a link back to itself", by_link, [link_page([1], "?next=a")], "a page repeated", 3),
    ("link: a circle", by_link, [link_page([n], f"?next={n % 2}") for n in (1, 2, 3, 4)], "a page repeated", 4),
    ("link: nobody can read it", by_link, [ok(things([1]), link=f'<{URL}; rel="next"')], "the Link header cannot", 1),
]  # fmt: skip


@pytest.mark.parametrize(
    ("walk", "pages", "message", "requests"), [c[1:] for c in INCOMPLETE], ids=[c[0] for c in INCOMPLETE]
)
async def test_a_list_that_does_not_arrive_whole_is_incomplete(
    walk: Walk, pages: list[httpx.Response], message: str, requests: int
) -> None:
    script = Script(*pages)
    with pytest.raises(IncompleteError, match=f"GET /things: {message}"):
        await ids(walk, script)

    assert len(script.requests) == requests


def endless(request: httpx.Request) -> dict[str, Any]:
    """New ids on every page, whichever way the next one is asked for."""
    position = int(request.url.params.get("offset") or request.url.params.get("last_id") or 0)
    return {"records": things([position + 1, position + 2]), "next": f"{URL}?offset={position + 2}"}


@pytest.mark.parametrize(
    ("walk", "reply"),
    [
        (by_offset, lambda page: ok({"things": page["records"], "totalCount": 10**9})),
        (by_keyset, lambda page: ok(page["records"])),
        (by_link, lambda page: ok(page["records"], link=f'<{page["next"]}>; rel="next"')),
    ],
)
async def test_a_list_without_end_is_given_up_at_the_cap(
    walk: Walk, reply: Callable[[dict[str, Any]], httpx.Response], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pagination, "MAX_PAGES", 20)
    requests: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return reply(endless(request))

    with pytest.raises(IncompleteError, match="no end after 20 pages"):
        await ids(walk, handler)
    assert 20 <= len(requests) <= 21


@pytest.mark.parametrize("url", ["https://elsewhere.test/things?p=2", "//elsewhere.test/", "http://site.test/"])
@pytest.mark.parametrize(
    ("walk", "page"),
    [(by_link, lambda url: link_page([1], url))],
)
async def test_a_next_page_elsewhere_on_another_origin_is_not_asked(
    walk: Walk, page: Callable[[str], httpx.Response], url: str
) -> None:
    script = Script(page(url))
    with pytest.raises(InvalidResponseError, match="leads to another path at another origin"):
        await ids(walk, script)

    assert len(script.requests) == 1


@pytest.mark.parametrize("origin", ["http://site.test", "https://inner.test:8000", "https://site.test:8443"])
@pytest.mark.parametrize(
    ("walk", "first", "last"),
    [
        (by_link, lambda url: link_page([1], url), ok(things([2]))),
    ],
)
async def test_a_server_that_does_not_know_its_own_address_is_asked_where_it_is(
    walk: Walk, first: Callable[[str], httpx.Response], last: httpx.Response, origin: str
) -> None:
    """As behind a proxy that speaks TLS: the path is the one asked for, so only the query of the link counts."""
    script = Script(first(f"{origin}/api/things?p=2"), last)

    assert await ids(walk, script) == [1, 2]
    assert str(script.requests[1].url) == "https://site.test/api/things?p=2"


@pytest.mark.parametrize(
    ("walk", "first"),
    [
        (by_offset, offset_page([1], 2)),
        (by_keyset, ok(things([1]))),
        (by_link, link_page([1], "?next=a")),
    ],
)
@pytest.mark.parametrize(("second", "error"), [(status(500), ServerError), (ok({"error": "x"}), InvalidResponseError)])
async def test_a_page_that_fails_fails_the_walk(
    walk: Walk, first: httpx.Response, second: httpx.Response, error: type[CollectError]
) -> None:
    with pytest.raises(error):
        await ids(walk, Script(first, second))


async def missing(_: int) -> str:
    raise NotFoundError("GET /things/{thing} answered 404")


async def test_objects_that_vanished_since_they_were_listed_are_left_out() -> None:
    async def read(number: int) -> str:
        return await missing(number) if number % 2 else f"thing {number}"

    async with make_client(ok()).session() as client:
        assert [found async for found in children(client, range(250), read)] == [f"thing {n}" for n in range(0, 250, 2)]
        assert [found async for found in children(client, [], read)] == []


@pytest.mark.parametrize("length", [1, 250])
async def test_when_all_are_missing_it_is_the_endpoint(length: int) -> None:
    """A list of objects none of which is there is no site without objects."""
    async with make_client(ok()).session() as client:
        with pytest.raises(NotFoundError, match="answered 404"):
            _ = [found async for found in children(client, range(length), missing)]


async def test_no_other_error_is_taken_for_a_vanished_object() -> None:
    async def read(number: int) -> str:
        if number == 7:
            raise ServerError("GET /things/{thing} answered 500", status=500)
        return "there"

    async with make_client(ok()).session() as client:
        with pytest.raises(ServerError):
            _ = [found async for found in children(client, range(10), read)]
