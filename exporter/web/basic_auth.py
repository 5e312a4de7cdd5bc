"""HTTP basic authentication against bcrypt hashes, at a bounded cost whoever asks."""

import asyncio
import base64
import binascii
import hmac
import secrets
from collections.abc import Callable, Mapping
from enum import Enum

MOST_WAITING = 16
"""Passwords that may wait for their bcrypt run; one takes some 50 ms at the usual cost of 10."""
BCRYPT_BYTES = 72
"""bcrypt has always read this much of a password; the library refuses longer ones instead of cutting them."""


class Verdict(Enum):
    """What became of the credentials of a request."""

    GOOD = "good"
    WRONG = "wrong"
    BUSY = "busy"


class BasicAuth:
    """Checks credentials. bcrypt runs one at a time in a thread, and not again for a password that was good before.

    What is remembered of a good password is a digest under a key that only this process knows, one per user.
    """

    def __init__(self, checkpw: Callable[[bytes, bytes], bool]) -> None:
        self._checkpw = checkpw
        self._key = secrets.token_bytes(32)
        self._good: dict[str, bytes] = {}
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def verdict(self, users: Mapping[str, bytes], authorization: str) -> Verdict:
        """Judge an Authorization header; `users` are the bcrypt hashes by name."""
        credentials = parse(authorization)
        if credentials is None:
            return Verdict.WRONG
        user, password = credentials
        stored = users.get(user)
        hashed = stored or decoy(users)
        digest = hmac.digest(self._key, hashed + password, "sha256")
        if self._is_known(user, digest):
            return Verdict.GOOD
        if self._waiting >= MOST_WAITING:
            return Verdict.BUSY
        self._waiting += 1
        try:
            async with self._turn:
                # a request that came at the same time may have found it good by now
                matches = self._is_known(user, digest) or await asyncio.to_thread(
                    self._checkpw, password[:BCRYPT_BYTES], hashed
                )
        finally:
            self._waiting -= 1
        if stored is None or not matches:
            return Verdict.WRONG
        self._good[user] = digest
        return Verdict.GOOD

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
