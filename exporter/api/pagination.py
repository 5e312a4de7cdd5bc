"""The ways in which platforms hand out long lists. What arrives is complete, or IncompleteError is raised.

A list by offset is returned whole, since it may have to be read anew. The others yield records as pages arrive, without
those that an earlier page already had; their caller must not publish anything before the walk has ended normally.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Protocol, TypeVar

import structlog

from exporter.api.client import NO_IDS, NO_PARAMS, Client, Params
from exporter.api.link_header import next_target
from exporter.api.reply import decode
from exporter.api.run import current_run
from exporter.errors import IncompleteError, NotFoundError, TooLargeError

logger = structlog.get_logger()

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
P = TypeVar("P")
T = TypeVar("T")

MAX_PAGES = 100_000
"""50 million records of 360Learning at 500 a page; a walk that is longer goes in circles."""
MAX_WALKS = 3
"""Of a list by offset that changes while it is read."""
CHILDREN_AT_ONCE = 100
"""Requests in line for the target's pace, so that neither they nor their results have to be kept for a whole list."""


class Page(Protocol[R_co]):
    """A page that tells how long the whole list is."""

    @property
    def records(self) -> Sequence[R_co]: ...

    @property
    def total(self) -> int: ...


class _ChangedError(Exception):
    """The list is not the one that the walk began with."""


async def offset_list(
    client: Client,
    endpoint: str,
    page: type[Page[R]],
    key: Callable[[R], Hashable],
    *,
    ids: Mapping[str, str | int] = NO_IDS,
    params: Mapping[str, str | int] = NO_IDS,
) -> list[R]:
    """Read a whole list by `offset`, until as many records are there as its pages count.

    A record that comes or goes shifts all behind it. So each page begins with the last record of the one before, and
    all count the same; a list that changed is read anew, three times in all. What goes unnoticed are changes among the
    records read so far that undo each other's shift before the next page: their effect on the list is left out.
    """

    async def ask(offset: int) -> Page[R]:
        query = {**params, "offset": offset} if offset else params
        return await client.get_as(page, endpoint, ids=ids, params=query)

    for _ in range(MAX_WALKS):
        try:
            return await _walk_by_offset(ask, key, endpoint)
        except _ChangedError:
            continue
    raise IncompleteError(f"GET {endpoint}: the list changed each of the {MAX_WALKS} times that it was read")


async def _walk_by_offset(
    ask: Callable[[int], Awaitable[Page[R]]], key: Callable[[R], Hashable], endpoint: str
) -> list[R]:
    """Raises _ChangedError when a page does not belong to those before it."""
    first = await ask(0)
    read = list(first.records)
    seen = set(map(key, read))
    for _ in range(MAX_PAGES):
        if not read or len(read) >= first.total:
            break
        page = await ask(len(read) - 1)
        keys = list(map(key, page.records))
        if len(keys) > 1 and page.total == first.total and keys == list(map(key, first.records)):
            raise _circle(endpoint)
        if page.total != first.total or keys[:1] != [key(read[-1])]:
            raise _ChangedError
        more = page.records[1:]
        if not more:
            break
        if seen.intersection(map(key, more)):
            raise _ChangedError
        read += more
        seen.update(map(key, more))
    else:
        raise _endless(endpoint)
    if len(seen) != first.total:
        raise IncompleteError(f"GET {endpoint}: {len(seen)} records arrived, the platform counts {first.total}")
    return read


async def keyset_pages(
    client: Client, endpoint: str, page: type[list[R]], key: Callable[[R], int], params: dict[str, str | int]
) -> AsyncIterator[list[R]]:
    """Walk by `last_id` until an empty page; a short page is no end, since rows may be hidden from it (PYBOSSA).

    `params` have a `limit`: a page that is too large is asked for anew with half of it, and so are those after it.
    """
    last_id, limit = 0, int(params["limit"])
    for _ in range(MAX_PAGES):
        try:
            found = await client.get_as(page, endpoint, params={**params, "limit": limit, "last_id": last_id})
        except TooLargeError as error:
            if limit == 1:
                raise
            limit //= 2
            logger.info(
                "page too large, going on with smaller ones",
                target=client.target,
                run=current_run().id,
                endpoint=endpoint,
                records=limit,
                error=str(error),
            )
            continue
        if not found:
            return
        if min(key(record) for record in found) <= last_id:
            raise _circle(endpoint)
        yield unique(found, key, set())
        last_id = max(key(record) for record in found)  # ids only grow from here on
    raise _endless(endpoint)


async def link_pages(
    client: Client, endpoint: str, page: type[list[R]], key: Callable[[R], Hashable], params: Params = NO_PARAMS
) -> AsyncIterator[list[R]]:
    """Walk by the header `Link: <URL>; rel="next"` until a page has none (360Learning v2)."""
    reply = await client.get(endpoint, params=params)
    seen: set[Hashable] = set()
    followed: set[str] = set()
    for _ in range(MAX_PAGES):
        if fresh := unique(decode(reply, page), key, seen):
            yield fresh
        try:
            link = next_target(reply.headers.get("link", ""))
        except ValueError:
            raise IncompleteError(
                f"GET {endpoint}: the Link header cannot be read, so it is not known whether more pages follow"
            ) from None
        if link is None:
            return
        followed.add(reply.url)
        reply = await client.follow(endpoint, link, reply.url)
        if reply.url in followed:
            raise _circle(endpoint)
    raise _endless(endpoint)


def _circle(endpoint: str) -> IncompleteError:
    return IncompleteError(f"GET {endpoint}: a page repeated what earlier ones had, so the list has no end")


def _endless(endpoint: str) -> IncompleteError:
    return IncompleteError(f"GET {endpoint}: no end after {MAX_PAGES} pages")


def unique(records: Iterable[R], key: Callable[[R], Hashable], seen: set[Hashable]) -> list[R]:
    """Return the records whose keys are not among those seen, and add these to them."""
    fresh = []
    for record in records:
        identity = key(record)
        if identity not in seen:
            seen.add(identity)
            fresh.append(record)
    return fresh


async def children(client: Client, parents: Iterable[P], read: Callable[[P], Awaitable[T]]) -> AsyncIterator[T]:
    """Yield what `read` gives of each listed object, in their order and at the target's pace.

    An object may vanish after it was listed, so some 404 are normal. When all answer so, it is the endpoint that is not
    there: raises NotFoundError.
    """

    async def read_or_miss(parent: P) -> T | NotFoundError:
        try:
            return await read(parent)
        except NotFoundError as error:
            return error

    missing: NotFoundError | None = None
    any_found = False
    remaining = iter(parents)
    while batch := list(islice(remaining, CHILDREN_AT_ONCE)):
        for result in await client.concurrently(read_or_miss(parent) for parent in batch):
            if isinstance(result, NotFoundError):
                missing = result
            else:
                any_found = True
                yield result
    if missing and not any_found:
        raise missing
