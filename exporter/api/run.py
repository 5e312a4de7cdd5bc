"""The run on whose behalf requests are sent: its id stands in every line about them and travels with each of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from secrets import token_hex


@dataclass(slots=True)
class Run:
    """A random id, and what the run has done so far; `pages` are replies with status 200 that were read to their end.

    `requests` also counts repeated ones and those for a token.
    """

    id: str = field(default_factory=lambda: token_hex(4))
    requests: int = 0
    pages: int = 0

    def next_request_id(self) -> str:
        """Name the next request, such as `3f2a91c0-2`."""
        self.requests += 1
        return f"{self.id}-{self.requests}"


_current: ContextVar[Run] = ContextVar("run")


@contextmanager
def new_run() -> Iterator[Run]:
    """Begin a run: until the block ends, requests of this task and of the tasks that it starts belong to it."""
    run = Run()
    token = _current.set(run)
    try:
        yield run
    finally:
        _current.reset(token)


def current_run() -> Run:
    """Return the run that this task belongs to; outside of any, each request is a run of its own."""
    return _current.get(None) or Run()
