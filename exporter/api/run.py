"""The run on whose behalf requests are sent: its id stands in every line about them and travels with each of them."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from secrets import token_hex

from exporter.api.unreadable import UnreadableValue
from exporter.errors import InvalidResponseError

MAX_UNREADABLE_SHARE = 0.01
JUDGED_AT_ONCE = 1_000
"""From so many unreadable values of one key on, a run does not wait for its end to be refused."""
TOLD_RECORDS = 5


def few_enough(odd: int, records: int) -> bool:
    """True if so many records may be odd: one always, and else 1 %."""
    return odd <= max(1, MAX_UNREADABLE_SHARE * records)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The values of one key that a run could not read: where, how many, and the first ones."""

    endpoint: str
    key: str
    count: int
    first: tuple[UnreadableValue, ...]

    def __str__(self) -> str:
        """Name endpoint, path and records, never a value."""
        told = list(map(str, self.first))
        more = f" and {self.count - len(told)} more" if self.count > len(told) else ""
        return f"GET {self.endpoint}: {', '.join(told)}{more}"


@dataclass(slots=True)
class Run:
    """A random id, and what the run has done so far; `pages` are replies with status 200 that were read to their end.

    `requests` also counts repeated ones and those for a token; `records` are those that may hold optional values, by
    endpoint. `on_page` is told the number of pages at each.
    """

    id: str = field(default_factory=lambda: token_hex(4))
    requests: int = 0
    pages: int = 0
    on_page: Callable[[int], None] = lambda _: None
    records: Counter[str] = field(default_factory=Counter)
    _values: dict[tuple[str, str], dict[str, UnreadableValue]] = field(default_factory=dict)
    """By endpoint and key, and then by record, so that one which is read again counts once."""

    def next_request_id(self) -> str:
        """Name the next request, such as `3f2a91c0-2`."""
        self.requests += 1
        return f"{self.id}-{self.requests}"

    def count_page(self) -> None:
        """Count a reply that was read to its end."""
        self.pages += 1
        self.on_page(self.pages)

    def take_note(self, endpoint: str, url: str, records: int, values: Iterable[UnreadableValue]) -> None:
        """Keep where the values of a reply's records are that could not be read. Raises as `require_readable` does."""
        self.records[endpoint] += records
        for value in values:
            known = self._values.setdefault((endpoint, value.key), {})
            known[value.record_id or url + value.path] = value
            if len(known) > JUDGED_AT_ONCE:
                self.require_readable()

    def unreadable(self) -> tuple[Unreadable, ...]:
        """Tell what could not be read, by key."""
        return tuple(
            Unreadable(endpoint, key, len(values), tuple(values.values())[:TOLD_RECORDS])
            for (endpoint, key), values in self._values.items()
        )

    def require_readable(self) -> None:
        """Raise InvalidResponseError if more than one record, and more than 1 % of an endpoint's, lack a value.

        Then it is no slip of a hand: the platform writes the value in another way than it did. What stands in labels
        only does not matter so much: no number would be wrong.
        """
        for (endpoint, key), values in self._values.items():
            records = self.records[endpoint]
            is_label = any(value.is_label for value in values.values())
            if not is_label and not few_enough(len(values), records):
                raise InvalidResponseError(
                    f"GET {endpoint}: `{key}` cannot be read in {len(values)} of {records} records"
                )


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


def note_unreadable(endpoint: str, path: str, record_id: object, why: str = "") -> None:
    """Count a value whose text the decoder takes for good and the platform's own module cannot read."""
    current_run().take_note(endpoint, endpoint, 0, [UnreadableValue(path, str(record_id), False, why)])
