"""A file that is written in parts by several runs of a command: what a finished part has written is never lost.

Beside OUTPUT grows OUTPUT.partial, and OUTPUT.progress says how much of it is finished; at the end the one is renamed
to OUTPUT and the other removed.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec
from msgspec import Struct

from exporter.errors import BackfillError

BUFFER_BYTES = 2**20


class Progress(Struct):
    """What is finished: `fingerprint` is of the command that wrote it, `end_seconds` where its span ends."""

    fingerprint: str
    end_seconds: int
    size_bytes: int = 0
    series: int = 0
    samples: int = 0
    units: list[str] = []
    left_out: list[str] = []
    doubts: list[str] = []


class PartialFile:
    """The growing file and its progress."""

    def __init__(self, output: Path) -> None:
        self._output = output
        self._partial = output.with_name(output.name + ".partial")
        self._progress = output.with_name(output.name + ".progress")

    def load(self, fingerprint: str) -> Progress | None:
        """Return what an earlier run of the same command has finished, None without one. Raises BackfillError."""
        try:
            progress = msgspec.json.decode(self._progress.read_bytes(), type=Progress)
            size_bytes = self._partial.stat().st_size
        except FileNotFoundError:
            return None
        except msgspec.DecodeError:
            raise BackfillError(f"{self._progress} is damaged; remove it to begin anew") from None
        if progress.fingerprint != fingerprint:
            raise BackfillError(
                f"{self._partial} was begun by another command or configuration; "
                f"repeat that one, or remove {self._progress} to begin anew, or choose another --output"
            )
        if size_bytes < progress.size_bytes:
            raise BackfillError(f"{self._partial} is shorter than its progress says; remove {self._progress}")
        return progress

    @contextmanager
    def writing(self, progress: Progress) -> Iterator[IO[bytes]]:
        """Open the file behind what is finished; what an interrupted part left there is cut off.

        Raises BackfillError for what the disk refuses within the block, since a failed write names no file itself.
        """
        try:
            with self._open(progress) as file:
                yield file
        except OSError as error:
            raise BackfillError(
                f"{self._partial} cannot be written: {error.strerror or type(error).__name__}; "
                "make room or mend the disk, and the same command goes on after the last finished part"
            ) from None

    def _open(self, progress: Progress) -> IO[bytes]:
        file = self._partial.open("r+b" if progress.size_bytes else "wb", buffering=BUFFER_BYTES)
        file.truncate(progress.size_bytes)
        file.seek(progress.size_bytes)
        return file

    def save(self, file: IO[bytes], progress: Progress) -> None:
        """Let what has been written count as finished, even if the machine fails now."""
        file.flush()
        os.fsync(file.fileno())
        progress.size_bytes = file.tell()
        beside = self._progress.with_name(self._progress.name + ".new")
        beside.write_bytes(msgspec.json.encode(progress))
        os.replace(beside, self._progress)

    def finish(self, file: IO[bytes]) -> None:
        """Give the complete file its name."""
        file.close()
        os.replace(self._partial, self._output)
        self._progress.unlink()

    def discard(self, file: IO[bytes]) -> None:
        """Leave nothing behind, so that the same command begins anew; an earlier OUTPUT stays."""
        file.close()
        self._progress.unlink()
        self._partial.unlink()
