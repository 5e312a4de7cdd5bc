"""Tracebacks for the log, without the messages of exceptions: a `KeyError` may quote a mail address, others a key."""

import traceback
from collections.abc import Iterator

from structlog.typing import ExcInfo

CAUSE = "The exception above was the direct cause of the one below:\n"
CONTEXT = "While the exception above was handled, the one below came:\n"


def traceback_text(error: BaseException) -> str:
    """Write the error, what led to it first, and what it groups, each with its type and the lines of code it passed."""
    return "".join(_parts(error, frozenset())).rstrip("\n")


def without_messages(exc_info: ExcInfo) -> str:
    """Write the error that a logger was given."""
    return traceback_text(exc_info[1])


def _parts(error: BaseException, told: frozenset[int]) -> Iterator[str]:
    told |= {id(error)}  # a chain may lead back to itself
    earlier = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if earlier is not None and id(earlier) not in told:
        yield from _parts(earlier, told)
        yield CAUSE if error.__cause__ else CONTEXT
    if error.__traceback__ is not None:
        yield "Traceback (most recent call last):\n"
        yield from traceback.format_tb(error.__traceback__)
    yield f"{type(error).__name__}\n"
    if isinstance(error, BaseExceptionGroup):
        for number, member in enumerate(error.exceptions, start=1):
            if id(member) not in told:
                yield f"Number {number} of the group:\n"
                yield from _parts(member, told)
