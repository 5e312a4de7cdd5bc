"""What is read with a request for each listed object: the assignments of courses, the statistics of groups."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from exporter.api.client import Client
from exporter.api.pagination import children
from exporter.api.run import few_enough, note_unreadable
from exporter.errors import IncompleteError, InvalidResponseError, NotFoundError
from exporter.metrics import Sample


class Listed(Protocol):
    """Anything that a list gives an id."""

    @property
    def id(self) -> int: ...


L = TypeVar("L", bound=Listed)
OddDetailsError = IncompleteError | InvalidResponseError


async def read_details(
    client: Client, list_endpoint: str, listed: Sequence[L], read: Callable[[L], Awaitable[Iterable[Sample]]]
) -> list[Sample]:
    """Read the details of all objects; see `children` for those that vanished since they were listed.

    One whose details are odd has no samples, since its series are of that object alone: the run takes note of it.
    Raises what was wrong with the first of these when too many are odd for that, or all.
    """

    async def outcome(one: L) -> tuple[L, list[Sample] | OddDetailsError]:
        try:
            return one, list(await read(one))
        except NotFoundError:  # which is an InvalidResponseError
            raise
        except (IncompleteError, InvalidResponseError) as error:
            return one, error

    samples: list[Sample] = []
    odd: dict[int, OddDetailsError] = {}
    async for one, found in children(client, listed, outcome):
        if isinstance(found, list):
            samples += found
        else:
            odd[one.id] = found
    if odd and (not samples or not few_enough(len(odd), len(listed))):
        raise next(iter(odd.values()))
    for id_, error in odd.items():
        note_unreadable(list_endpoint, "details", id_, str(error))
    return samples
