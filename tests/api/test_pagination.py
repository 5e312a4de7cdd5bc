"""The four ways of paging: a walk gives every record once, or it raises IncompleteError."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from exporter.api import pagination
from exporter.api.client import Client
from exporter.api.pagination import keyset_pages, link_pages, next_link, next_url_pages, offset_pages
from exporter.api.reply import Reply
from exporter.errors import CollectError, IncompleteError, InvalidResponseError, ServerError
from tests.fakes import Handler, Script, make_client, ok, status

URL = "https://site.test/api/things"


class Thing(Struct):
    id: int


class OffsetPage(Struct, rename="camel"):
    things: list[Thing]
    total_count: int


class NextPage(Struct):
    results: list[Thing]
    count: int
    next: str | None = None


def identity(thing: Thing) -> int:
    return thing.id


def things(ids: list[int]) -> list[dict[str, int]]:
    return [{"id": id_} for id_ in ids]


def by_offset(client: Client) -> AsyncIterator[list[Thing]]:
    return offset_pages(client, "/things", OffsetPage, lambda page: page.things, identity)


def by_next_url(client: Client) -> AsyncIterator[list[Thing]]:
    return next_url_pages(client, "/things", NextPage, lambda page: page.results, identity, {"limit": 2})


def by_keyset(client: Client) -> AsyncIterator[list[Thing]]:
    return keyset_pages(client, "/things", list[Thing], identity, {"limit": 2})


def by_link(client: Client) -> AsyncIterator[list[Thing]]:
    return link_pages(client, "/things", list[Thing], identity)


Walk = Callable[[Client], AsyncIterator[list[Thing]]]


async def ids(walk: Walk, handler: Handler) -> list[int]:
    async with make_client(handler).session() as client:
        return [thing.id async for page in walk(client) for thing in page]


def offset_page(records: list[int], total: int) -> httpx.Response:
    return ok({"things": things(records), "totalCount": total})


def next_page(records: list[int], count: int, url: str | None = None) -> httpx.Response:
    return ok({"results": things(records), "count": count, "next": url})


def link_page(records: list[int], url: str | None = None) -> httpx.Response:
    return ok(things(records), **({"link": f'<{url}>; rel="next"'} if url else {}))


class Paged:
    """A platform with a list of `ids`, `size` to a page, that understands all four ways."""

    def __init__(self, records: list[int], size: int) -> None:
        self.records, self.size = records, size

    def offset(self, request: httpx.Request) -> httpx.Response:
        start = int(request.url.params.get("offset", 0))
        return offset_page(self.records[start : start + self.size], len(self.records))

    def next_url(self, request: httpx.Request) -> httpx.Response:
        start = int(request.url.params.get("offset", 0))
        end = start + self.size
        url = f"{URL}?offset={end}" if end < len(self.records) else None
        return next_page(self.records[start:end], len(self.records), url)

    def keyset(self, request: httpx.Request) -> httpx.Response:
        last_id = int(request.url.params["last_id"])
        return ok(things([id_ for id_ in sorted(self.records) if id_ > last_id][: self.size]))

    def link(self, request: httpx.Request) -> httpx.Response:
        start = int(request.url.params.get("next", 0))
        end = start + self.size
        return link_page(self.records[start:end], f"/api/things?next={end}" if end < len(self.records) else None)


WALKS = {"offset": by_offset, "next_url": by_next_url, "keyset": by_keyset, "link": by_link}


@pytest.mark.parametrize("way", WALKS)
@given(records=st.lists(st.integers(1, 10**9), unique=True, max_size=30), size=st.integers(1, 7))
@settings(max_examples=20)
def test_whatever_its_length_a_list_arrives_whole_and_every_record_once(
    way: str, records: list[int], size: int
) -> None:
    found = asyncio.run(ids(WALKS[way], getattr(Paged(records, size), way)))

    assert sorted(found) == sorted(records)
    assert len(found) == len(set(found))


@given(data=st.data(), size=st.integers(1, 4))
@settings(max_examples=40)
def test_a_list_that_changes_under_an_offset_walk_is_never_counted_wrong(data: st.DataObject, size: int) -> None:
    """Records come and go between pages: what arrives is as long as the platform counts at the end, or nothing."""
    paged = Paged(list(range(10)), size)
    new_ids = itertools.count(100)

    def handler(request: httpx.Request) -> httpx.Response:
        if len(paged.records) > 1 and data.draw(st.booleans()):
            paged.records.pop(data.draw(st.integers(0, len(paged.records) - 1)))
        if len(paged.records) < 15 and data.draw(st.booleans()):
            paged.records.insert(data.draw(st.integers(0, len(paged.records))), next(new_ids))
        return paged.offset(request)

    try:
        found = asyncio.run(ids(by_offset, handler))
    except IncompleteError:
        return
    assert len(found) == len(set(found)) == len(paged.records)


@pytest.mark.parametrize("way", WALKS)
async def test_an_empty_list_is_whole(way: str) -> None:
    assert await ids(WALKS[way], getattr(Paged([], 2), way)) == []


COMPLETE: list[tuple[str, Walk, list[httpx.Response], list[int], list[str]]] = [
    (
        "offset: pages are as long as the platform likes",
        by_offset,
        [offset_page([1, 2, 3], 5), offset_page([4], 5), offset_page([5], 5)],
        [1, 2, 3, 4, 5],
        ["", "offset=3", "offset=4"],
    ),
    (
        "next_url: a short page in the middle",
        by_next_url,
        [next_page([1, 2], 4, f"{URL}?offset=2"), next_page([3], 4, f"{URL}?offset=4"), next_page([4], 4)],
        [1, 2, 3, 4],
        ["limit=2", "offset=2", "offset=4"],
    ),
    (
        "next_url: relative",
        by_next_url,
        [next_page([1], 2, "/api/things?offset=1"), next_page([2], 2, "")],
        [1, 2],
        ["limit=2", "offset=1"],
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
        "next_url: the same, as long as the whole has the length that the platform counts",
        by_next_url,
        [next_page([1, 2], 3, "?offset=2"), next_page([2, 3], 3)],
        [1, 2, 3],
        ["limit=2", "offset=2"],
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


INCOMPLETE: list[tuple[str, Walk, list[httpx.Response], str, int]] = [
    ("offset: short", by_offset, [offset_page([1, 2], 5), offset_page([], 5)], "2 records arrived, .* counts 5", 2),
    ("offset: nothing of a total", by_offset, [offset_page([], 5)], "0 records arrived", 1),
    ("offset: more than the total", by_offset, [offset_page([1, 2, 3], 2)], "3 records arrived, .* counts 2", 1),
    (
        "offset: shifted, so that one came twice and one never",
        by_offset,
        [offset_page([1, 2], 4), offset_page([2, 3], 4)],
        "3 records arrived, .* counts 4",
        2,
    ),
    (
        "offset: the same page for ever",
        by_offset,
        [offset_page([1, 2], 100)],
        "a page repeated what earlier ones had",
        2,
    ),
    ("next_url: short", by_next_url, [next_page([1], 3, "?p=2"), next_page([2], 3)], "2 records arrived", 2),
    ("next_url: total one too low", by_next_url, [next_page([1, 2], 1)], "2 records arrived, .* counts 1", 1),
    ("next_url: a link back to itself", by_next_url, [next_page([1], 3, URL)], "a page repeated", 2),
    ("next_url: a circle", by_next_url, [next_page([n], 3, "?p") for n in (1, 2, 1)], "a page repeated", 3),
    ("next_url: an empty page with more to come", by_next_url, [next_page([], 3, "?p=2")], "a page repeated", 1),
    ("keyset: the server ignores last_id", by_keyset, [ok(things([1, 2]))], "a page repeated", 2),
    ("keyset: the server goes back", by_keyset, [ok(things([5, 6])), ok(things([3, 7]))], "a page repeated", 2),
    ("link: a link back to itself", by_link, [link_page([1], "?next=a")], "a page repeated", 2),
    ("link: an empty page with more to come", by_link, [link_page([], "?next=a")], "a page repeated", 1),
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
        (by_next_url, lambda page: ok({"results": page["records"], "count": 10**9, "next": page["next"]})),
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
    assert len(requests) == 21


@pytest.mark.parametrize("url", ["https://elsewhere.test/things?p=2", "//elsewhere.test/", "http://site.test/"])
@pytest.mark.parametrize(
    ("walk", "page"),
    [(by_next_url, lambda url: next_page([1], 2, url)), (by_link, lambda url: link_page([1], url))],
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
        (by_next_url, lambda url: next_page([1], 2, url), next_page([2], 2, None)),
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
        (by_next_url, next_page([1], 2, "?p=2")),
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


@pytest.mark.parametrize(
    ("link", "url"),
    [
        ('<https://x.test/a?b=1>; rel="next"', "https://x.test/a?b=1"),
        ("</a?b=1>; rel=next", "/a?b=1"),
        ('<?b=1,2>;rel="NEXT"', "?b=1,2"),
        ('<p>; rel="prev", <n>; title="x"; rel="next"', "n"),
        ('<n>; rel="next", <l>; rel="last"', "n"),
        ('<p>; rel="prev"', None),
        ("next", None),
        ("", None),
    ],
)
def test_the_next_link_is_found_among_others(link: str, url: str | None) -> None:
    assert next_link(Reply("/things", URL, {"link": link}, b"")) == url
