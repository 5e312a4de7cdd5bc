"""HTTP basic authentication against bcrypt hashes, at a bounded cost whoever asks."""

import asyncio
import base64
import binascii
import hmac
import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from weakref import WeakValueDictionary

MOST_WAITING = 64
"""Passwords from one address that may wait for their bcrypt run; one takes some 50 ms at the usual cost of 10."""
BCRYPT_BYTES = 72
"""bcrypt has always read this much of a password; the library refuses longer ones instead of cutting them."""


class Verdict(Enum):
    """What became of the credentials of a request."""

    GOOD = "good"
    WRONG = "wrong"
    BUSY = "busy"


class Line:
    """Those of one address who wait for their bcrypt run, first come, first served."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.length = 0


class BasicAuth:
    """Checks credentials. bcrypt runs one at a time in a thread, and not again for a password that was good before.

    Addresses take turns, so that whoever sends wrong passwords holds up others by one run each time, not by its line.
    What is remembered of a good password is a digest under a key that only this process knows, one per user.
    """

    def __init__(self, checkpw: Callable[[bytes, bytes], bool]) -> None:
        self._checkpw = checkpw
        self._key = secrets.token_bytes(32)
        self._good: dict[str, bytes] = {}
        self._thread = ThreadPoolExecutor(1, "password")
        self._lines: WeakValueDictionary[str, Line] = WeakValueDictionary()
        self._turn = asyncio.Lock()

    async def verdict(self, users: Mapping[str, bytes], authorization: str, address: str) -> Verdict:
        """Judge an Authorization header that came from `address`; `users` are the bcrypt hashes by name."""
        credentials = parse(authorization)
        if credentials is None:
            return Verdict.WRONG
        user, password = credentials
        stored = users.get(user)
        hashed = stored or decoy(users)
        digest = hmac.digest(self._key, hashed + password, "sha256")
        if self._is_known(user, digest):
            return Verdict.GOOD
        line = self._lines.setdefault(address, Line())
        if line.length >= MOST_WAITING:
            return Verdict.BUSY
        line.length += 1
        try:
            async with line.turn, self._turn:  # only the first of each line stands in the second one
                # a request that came at the same time may have found it good by now
                matches = self._is_known(user, digest) or await self._matches(password, hashed)
        finally:
            line.length -= 1
        if stored is None or not matches:
            return Verdict.WRONG
        self._good[user] = digest
        return Verdict.GOOD

    async def _matches(self, password: bytes, hashed: bytes) -> bool:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._checkpw, password[:BCRYPT_BYTES], hashed)

    def _is_known(self, user: str, digest: bytes) -> bool:
        return hmac.compare_digest(self._good.get(user, b""), digest)


def parse(authorization: str) -> tuple[str, bytes] | None:
    """Return user name and password of a Basic Authorization header, None if it is none."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, separator, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        return (user.decode(), password) if separator else None
    except (binascii.Error, ValueError):
        return None


def decoy(users: Mapping[str, bytes]) -> bytes:
    """Return a hash that no password has, so that an unknown user takes as long as a wrong password.

    Its cost is the highest of the users'; they share one unless the operator mixes them.
    """
    cost = max(hashed[4:6] for hashed in users.values())
    return b"$2b$" + cost + b"$" + b"." * 53
