"""Bodies as they arrive: what is unpacked, what is refused, and how little a hostile one costs."""

import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import Iterable, Sequence
from itertools import pairwise

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.api.body import BoundedBody, Gunzip
from exporter.errors import InvalidResponseError, TooLargeError
from tests.fakes import Chunks

CAP_BYTES = 2**20


async def read(chunks: Iterable[bytes], *codings: str, cap_bytes: int = CAP_BYTES) -> bytes:
    """What a reader gets of a body that arrives in chunks under these Content-Encoding headers."""
    response = httpx.Response(200, headers=[("Content-Encoding", coding) for coding in codings])
    return b"".join([piece async for piece in BoundedBody(response, Chunks(list(chunks)), "/users", cap_bytes)])


def split(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


@given(members=st.lists(st.binary(max_size=3000), min_size=1, max_size=4), cuts=st.lists(st.integers(0), max_size=9))
async def test_members_are_one_body_however_they_are_cut(members: list[bytes], cuts: list[int]) -> None:
    packed = b"".join(map(gzip.compress, members))

    assert await read(split(packed, cuts), "gzip") == b"".join(members)


@pytest.mark.parametrize("codings", [(), ("",), ("identity",), ("IDENTITY",)])
async def test_a_body_that_is_not_packed_is_what_it_is(codings: tuple[str, ...]) -> None:
    assert await read([b"\x1f\x8b", b"{}"], *codings) == b"\x1f\x8b{}"


async def test_others_go_on_while_a_bomb_is_unpacked() -> None:
    """It arrives as one chunk, so that nothing else lets anybody have a turn."""
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(take_turns())
    with pytest.raises(TooLargeError):
        await read([gzip.compress(bytes(64 * CAP_BYTES))], "gzip", cap_bytes=32 * CAP_BYTES)
    other.cancel()

    assert turns > 100


async def test_zeros_behind_the_last_member_are_padding() -> None:
    assert await read([gzip.compress(b"{}") + bytes(512), bytes(3)], "x-gzip") == b"{}"


async def test_no_body_is_an_empty_body_whatever_its_coding() -> None:
    assert await read([], "gzip") == b""


@pytest.mark.parametrize(
    "codings", [("gzip, gzip",), ("gzip", "gzip"), ("br",), ("deflate",), ("zstd",), ("identity, gzip",), ("gzip,",)]
)
async def test_a_coding_that_was_not_asked_for_is_refused_unread(codings: tuple[str, ...]) -> None:
    chunks = Chunks([gzip.compress(gzip.compress(b"{}"))])
    response = httpx.Response(200, headers=[("Content-Encoding", coding) for coding in codings])

    with pytest.raises(InvalidResponseError, match="/users: the body has a Content-Encoding that was not asked for"):
        _ = [piece async for piece in BoundedBody(response, chunks, "/users", CAP_BYTES)]

    assert chunks.taken == 0


WHOLE = gzip.compress(b"x" * 1000)


@pytest.mark.parametrize(
    "damaged",
    [
        WHOLE[:-1],
        WHOLE[:5],
        WHOLE + WHOLE[:12],
        WHOLE + b"more",
        WHOLE[:-8] + bytes(8),
        zlib.compress(b"{}"),
        b"{}",
    ],
    ids=["cut", "cut in the header", "second member cut", "something behind", "wrong checksum", "zlib", "plain"],
)
async def test_damage_is_told_from_an_end(damaged: bytes) -> None:
    with pytest.raises(InvalidResponseError, match="/users: the body's compression is damaged"):
        await read([damaged], "gzip")


@pytest.mark.parametrize("is_packed", [True, False])
async def test_the_cap_is_of_the_packed_and_of_the_unpacked_body(is_packed: bool) -> None:
    body = b"x" * 1000
    chunks = [gzip.compress(body)] if is_packed else [body]
    codings = ("gzip",) if is_packed else ()

    assert await read(chunks, *codings, cap_bytes=1000) == body
    with pytest.raises(TooLargeError, match="/users: the reply is larger than 999 bytes") as error:
        await read(chunks, *codings, cap_bytes=999)
    assert "max_body_bytes" in error.value.remedy


async def test_empty_members_without_end_are_bounded_by_what_arrives() -> None:
    with pytest.raises(TooLargeError):
        await read([gzip.compress(b"") * 1000], "gzip", cap_bytes=1000)


def test_a_bomb_takes_no_more_than_a_piece_at_a_time() -> None:
    bomb = gzip.compress(bytes(2**28))
    tracemalloc.start()
    try:
        assert sum(len(piece) for piece in Gunzip().pieces(bomb)) == 2**28
        assert tracemalloc.get_traced_memory()[1] < 4 * len(bomb)
    finally:
        tracemalloc.stop()
