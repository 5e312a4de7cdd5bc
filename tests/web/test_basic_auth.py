"""Passwords: who is let in, and what it costs, counted in bcrypt runs rather than seconds."""

import asyncio
import base64
from collections.abc import Mapping

import bcrypt
import pytest

from exporter.web.basic_auth import MOST_WAITING, BasicAuth, Verdict, decoy, parse
from tests.web.certificates import CountedBcrypt, hashed

PASSWORD = "correct horse: battery"
HERE, THERE = "127.0.0.1", "192.0.2.1"
USERS: Mapping[str, bytes] = {"alice": hashed(PASSWORD).encode(), "bob": hashed("bob's").encode()}


def header(user: str, password: str) -> str:
    """A Basic Authorization header."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


@pytest.mark.parametrize(
    ("authorization", "verdict"),
    [
        (header("alice", PASSWORD), Verdict.GOOD),
        (header("alice", PASSWORD).replace("Basic", "BASIC"), Verdict.GOOD),
        (header("alice", PASSWORD + "x"), Verdict.WRONG),
        (header("alice", ""), Verdict.WRONG),
        (header("alice", "bob's"), Verdict.WRONG),
        (header("bob", "bob's"), Verdict.GOOD),
        (header("Alice", PASSWORD), Verdict.WRONG),
        (header("carol", PASSWORD), Verdict.WRONG),
        (header("carol", ""), Verdict.WRONG),
        (header("", ""), Verdict.WRONG),
        (header("alice", "nul\0"), Verdict.WRONG),
        (header("alice", "x" * 5000), Verdict.WRONG),
        ("", Verdict.WRONG),
        ("Basic", Verdict.WRONG),
        ("Basic %%%", Verdict.WRONG),
        ("Basic YWxpY2U=", Verdict.WRONG),
        ("Basic /zo=", Verdict.WRONG),
        ("Basic é", Verdict.WRONG),
        (header("alice", PASSWORD).replace("Basic", "Bearer"), Verdict.WRONG),
    ],
)
async def test_only_a_user_with_the_right_password_is_let_in(authorization: str, verdict: Verdict) -> None:
    auth = BasicAuth(bcrypt.checkpw)

    assert [await auth.verdict(USERS, authorization, HERE) for _ in range(2)] == [verdict, verdict]


async def test_a_password_beyond_the_length_that_bcrypt_reads_is_accepted() -> None:
    """Hashes of long passwords made by htpasswd hold their first 72 bytes."""
    long = "p" * 100
    users = {"alice": hashed(long[:72]).encode()}

    assert await BasicAuth(bcrypt.checkpw).verdict(users, header("alice", long), HERE) is Verdict.GOOD


async def test_a_good_password_costs_bcrypt_once() -> None:
    checkpw = CountedBcrypt()
    auth = BasicAuth(checkpw)

    verdicts = [await auth.verdict(USERS, header("alice", PASSWORD), HERE) for _ in range(100)]

    assert verdicts == [Verdict.GOOD] * 100
    assert checkpw.asked == [USERS["alice"]]


async def test_the_same_good_password_sent_at_once_costs_bcrypt_once() -> None:
    checkpw = CountedBcrypt()
    auth = BasicAuth(checkpw)

    verdicts = await asyncio.gather(
        *(auth.verdict(USERS, header("alice", PASSWORD), HERE) for _ in range(MOST_WAITING))
    )

    assert verdicts == [Verdict.GOOD] * MOST_WAITING
    assert len(checkpw.asked) == 1


async def test_wrong_passwords_hold_up_neither_good_ones_nor_the_machine() -> None:
    """While many wrong passwords arrive at once, one bcrypt runs, some wait, and a known good password needs none."""
    checkpw = CountedBcrypt()
    auth = BasicAuth(checkpw)
    assert await auth.verdict(USERS, header("alice", PASSWORD), HERE) is Verdict.GOOD
    checkpw.gate.clear()
    try:
        wrong = [
            asyncio.create_task(auth.verdict(USERS, header("alice", str(number)), HERE))
            for number in range(MOST_WAITING + 34)
        ]
        await asyncio.sleep(0)
        assert await auth.verdict(USERS, header("alice", PASSWORD), HERE) is Verdict.GOOD
    finally:
        checkpw.gate.set()

    verdicts = await asyncio.gather(*wrong)
    assert (verdicts.count(Verdict.WRONG), verdicts.count(Verdict.BUSY)) == (MOST_WAITING, 34)
    assert len(checkpw.asked) == 1 + MOST_WAITING


async def test_a_first_login_waits_behind_one_wrong_password_of_each_other_address_and_is_never_refused() -> None:
    checkpw = CountedBcrypt()
    checkpw.gate.clear()
    auth = BasicAuth(checkpw)
    wrong = [
        asyncio.create_task(auth.verdict(USERS, header("bob", str(number)), address))
        for number in range(2 * MOST_WAITING)
        for address in (HERE, "192.0.2.9")
    ]
    while not checkpw.asked:  # noqa: ASYNC110 - a thread takes it up
        await asyncio.sleep(0)
    first = asyncio.create_task(auth.verdict(USERS, header("alice", PASSWORD), THERE))
    await asyncio.sleep(0)
    checkpw.gate.set()

    assert await first is Verdict.GOOD
    assert checkpw.asked.index(USERS["alice"]) <= 2
    assert (await asyncio.gather(*wrong)).count(Verdict.BUSY) == 2 * MOST_WAITING


async def test_a_first_login_from_the_address_of_the_wrong_ones_waits_in_line() -> None:
    auth = BasicAuth(bcrypt.checkpw)
    wrong = [asyncio.create_task(auth.verdict(USERS, header("bob", str(number)), HERE)) for number in range(40)]
    await asyncio.sleep(0)

    assert await auth.verdict(USERS, header("alice", PASSWORD), HERE) is Verdict.GOOD
    assert await asyncio.gather(*wrong) == [Verdict.WRONG] * 40


async def test_an_address_is_forgotten_with_its_last_password() -> None:
    auth = BasicAuth(bcrypt.checkpw)

    await asyncio.gather(*(auth.verdict(USERS, header("bob", "wrong"), f"192.0.2.{number}") for number in range(20)))

    assert not auth._lines


async def test_bcrypt_runs_one_at_a_time() -> None:
    checkpw = CountedBcrypt()
    checkpw.gate.clear()
    auth = BasicAuth(checkpw)
    try:
        wrong = [asyncio.create_task(auth.verdict(USERS, header("bob", str(number)), HERE)) for number in range(5)]
        while not checkpw.asked:  # noqa: ASYNC110 - a thread takes it up
            await asyncio.sleep(0)
        assert len(checkpw.asked) == 1
    finally:
        checkpw.gate.set()
    assert await asyncio.gather(*wrong) == [Verdict.WRONG] * 5


async def test_an_unknown_user_takes_as_long_as_a_wrong_password() -> None:
    """The same bcrypt run at the same cost: the time of an answer does not tell which users there are."""
    checkpw = CountedBcrypt()
    auth = BasicAuth(checkpw)

    await auth.verdict(USERS, header("carol", PASSWORD), HERE)

    assert [stored[:7] for stored in checkpw.asked] == [USERS["alice"][:7]]


async def test_a_changed_hash_and_a_removed_user_end_what_was_remembered() -> None:
    auth = BasicAuth(bcrypt.checkpw)
    assert await auth.verdict(USERS, header("alice", PASSWORD), HERE) is Verdict.GOOD

    assert await auth.verdict({"alice": hashed("new").encode()}, header("alice", PASSWORD), HERE) is Verdict.WRONG
    assert await auth.verdict({"bob": USERS["bob"]}, header("alice", PASSWORD), HERE) is Verdict.WRONG


def test_the_decoy_costs_as_much_as_the_dearest_hash() -> None:
    assert decoy({"a": b"$2b$04$" + b"x" * 53, "b": b"$2y$10$" + b"x" * 53}).startswith(b"$2b$10$")


def test_a_password_may_hold_colons() -> None:
    assert parse(header("alice", PASSWORD)) == ("alice", PASSWORD.encode())


async def test_nothing_that_is_kept_is_the_password() -> None:
    auth = BasicAuth(bcrypt.checkpw)
    await auth.verdict(USERS, header("alice", PASSWORD), HERE)

    assert PASSWORD not in repr(vars(auth))
    assert PASSWORD not in repr(auth)
