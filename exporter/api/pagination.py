"""The four ways in which platforms hand out long lists. A walk is complete, or it raises IncompleteError.

Every walk yields lists of records as pages arrive, without those that an earlier page already had, and checks at its
end that nothing is missing. So the caller must not publish anything before the walk has ended normally.
"""

import re
from collections.abc import AsyncIterator, Callable, Hashable
from typing import Any, Protocol, TypeVar

from exporter.api.client import NO_PARAMS, Client, Params
from exporter.api.reply import Reply, decode
from exporter.errors import IncompleteError

R = TypeVar("R")
P = TypeVar("P")

MAX_PAGES = 100_000
"""50 million records of 360Learning at 500 a page; a walk that is longer goes in circles."""

NEXT_LINK = re.compile(r'<([^<>]*)>\s*;[^,<]*\brel\s*=\s*"?next"?', re.IGNORECASE)


class Counted(Protocol):
    """A page that tells how long the whole list is."""

    @property
    def total_count(self) -> int: ...


class Linked(Protocol):
    """A page that tells how long the whole list is and where the next page is."""

    @property
    def count(self) -> int: ...

    @property
    def next(self) -> str | None: ...


C = TypeVar("C", bound=Counted)
L = TypeVar("L", bound=Linked)


class _Walk:
    """What every walk keeps: the ids seen, and the number of pages."""

    def __init__(self, endpoint: str, key: Callable[[Any], Hashable]) -> None:
        self.endpoint = endpoint
        self.seen: set[Hashable] = set()
        self._key = key
        self._pages = 0

    def fresh(self, records: list[R]) -> list[R]:
        """Return the records not seen before. Raises IncompleteError at the page cap."""
        self._pages += 1
        if self._pages > MAX_PAGES:
            raise IncompleteError(f"GET {self.endpoint}: no end after {MAX_PAGES} pages")
        key, seen = self._key, self.seen
        fresh = []
        for record in records:
            identity = key(record)
            if identity not in seen:
                seen.add(identity)
                fresh.append(record)
        return fresh

    def require_total(self, total: int) -> None:
        if len(self.seen) != total:
            raise IncompleteError(f"GET {self.endpoint}: {len(self.seen)} records arrived, the platform counts {total}")

    def circle(self) -> IncompleteError:
        return IncompleteError(f"GET {self.endpoint}: a page repeated what earlier ones had, so the list has no end")


async def offset_pages(
    client: Client,
    endpoint: str,
    page: type[C],
    records: Callable[[C], list[R]],
    key: Callable[[R], Hashable],
    *,
    ids: dict[str, str | int] | None = None,
) -> AsyncIterator[list[R]]:
    """Walk by `offset` until `totalCount` records are there (Konstantly)."""
    walk = _Walk(endpoint, key)
    offset = 0
    while True:
        params = {"offset": offset} if offset else NO_PARAMS
        envelope = await client.get_as(page, endpoint, ids=ids or {}, params=params)
        found = records(envelope)
        fresh = walk.fresh(found)
        if fresh:
            yield fresh
        offset += len(found)
        if offset >= envelope.total_count or not found:
            break
        if not fresh:
            raise walk.circle()
    walk.require_total(envelope.total_count)


async def next_url_pages(
    client: Client,
    endpoint: str,
    page: type[L],
    records: Callable[[L], list[R]],
    key: Callable[[R], Hashable],
    params: Params,
) -> AsyncIterator[list[R]]:
    """Walk by the `next` URL that each page holds, until it is null; `count` is the length of the list (VIKTOR)."""
    walk = _Walk(endpoint, key)
    reply = await client.get(endpoint, params=params)
    while True:
        envelope = decode(reply, page)
        found = records(envelope)
        fresh = walk.fresh(found)
        if fresh:
            yield fresh
        if not envelope.next:
            break
        if not fresh:
            raise walk.circle()
        reply = await client.follow(endpoint, envelope.next, reply.url)
    walk.require_total(envelope.count)


async def keyset_pages(
    client: Client, endpoint: str, page: type[list[R]], key: Callable[[R], int], params: dict[str, str | int]
) -> AsyncIterator[list[R]]:
    """Walk by `last_id` until an empty page; a short page is no end, since rows may be hidden from it (PYBOSSA)."""
    walk = _Walk(endpoint, key)
    last_id = 0
    while True:
        found = await client.get_as(page, endpoint, params={**params, "last_id": last_id})
        if not found:
            return
        fresh = walk.fresh(found)
        if min(key(record) for record in found) <= last_id:
            raise walk.circle()
        yield fresh
        last_id = max(key(record) for record in found)
        walk.seen.clear()  # ids only grow from here on


async def link_pages(
    client: Client, endpoint: str, page: type[list[R]], key: Callable[[R], Hashable], params: Params = NO_PARAMS
) -> AsyncIterator[list[R]]:
    """Walk by the header `Link: <URL>; rel="next"` until a page has none (360Learning v2)."""
    walk = _Walk(endpoint, key)
    reply = await client.get(endpoint, params=params)
    while True:
        fresh = walk.fresh(decode(reply, page))
        if fresh:
            yield fresh
        link = next_link(reply)
        if link is None:
            return
        if not fresh:
            raise walk.circle()
        reply = await client.follow(endpoint, link, reply.url)


def next_link(reply: Reply) -> str | None:
    """Return the URL with rel="next" of the reply's Link header, None without one."""
    match = NEXT_LINK.search(reply.headers.get("link", ""))
    return match.group(1) if match else None
