"""The event loop of every command: asyncio's own, but a name that does not resolve holds up nothing else.

asyncio looks names up in the pool of threads that everything shares. A lookup cannot be interrupted, and with a silent
resolver it outlives every timeout of ours, so that a few dead names would fill that pool again and again.
"""

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")
Addresses = list[tuple[Any, ...]]

EXIT_SIGTERM = 128 + signal.SIGTERM
"""As shells name the end by a signal."""

MOST_LOOKUPS = 512
"""Names looked up at a time, each in a thread; more of them wait for their turn."""


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine to its end, as `asyncio.run` does, but SIGTERM cancels it and ends the process."""
    try:
        with asyncio.Runner(loop_factory=EventLoop) as runner:
            return runner.run(_until_sigterm(main))
    except asyncio.CancelledError:
        sys.exit(EXIT_SIGTERM)


@contextlib.contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the process by an exit, also as the first of a container: there, it does nothing by itself."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


async def _until_sigterm(main: Coroutine[Any, Any, T]) -> T:
    running = asyncio.current_task()
    assert running is not None  # noqa: S101 - this is it
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    return await main


class EventLoop(asyncio.SelectorEventLoop):
    """Looks every name up in a thread of its own; who asks for a name meanwhile waits for the same answer.

    So a target whose name does not resolve holds one thread, however often it is tried.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lookups: dict[tuple[Any, ...], asyncio.Task[Addresses]] = {}
        self._places = asyncio.Semaphore(MOST_LOOKUPS)

    async def getaddrinfo(
        self, host: Any, port: Any, *, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> Addresses:
        """Return what `socket.getaddrinfo` does. Raises OSError."""
        asked = (host, port, family, type, proto, flags)
        lookup = self._lookups.get(asked)
        if lookup is None:
            lookup = self._lookups[asked] = self.create_task(self._look_up(lambda: socket.getaddrinfo(*asked)))
            lookup.add_done_callback(lambda ended: self._forget(asked, ended))
        return await asyncio.shield(lookup)

    async def _look_up(self, ask: Callable[[], Addresses]) -> Addresses:
        async with self._places:
            answer: asyncio.Future[Addresses] = self.create_future()

            def settle(found: Addresses | Exception) -> None:
                if answer.done():
                    return
                if isinstance(found, Exception):
                    answer.set_exception(found)
                else:
                    answer.set_result(found)

            def thread() -> None:
                found: Addresses | Exception
                try:
                    found = ask()
                except Exception as error:
                    found = error
                with contextlib.suppress(RuntimeError):  # the loop was closed before the resolver answered
                    self.call_soon_threadsafe(settle, found)

            # not of a pool, whose threads are waited for when the process ends
            Thread(target=thread, name="lookup", daemon=True).start()
            return await answer

    def _forget(self, asked: tuple[Any, ...], ended: asyncio.Task[Addresses]) -> None:
        del self._lookups[asked]
        if not ended.cancelled():
            ended.exception()  # nobody may be waiting for it any more, which is no fault
