"""The state of a file, so that a change of it is noticed."""

import os
from collections.abc import Iterable
from pathlib import Path

Stamp = tuple[Path, int, int, int]
"""Path, time of last change in nanoseconds, size in bytes, inode; zeros if there is no such file."""


def stamps(files: Iterable[Path]) -> tuple[Stamp, ...]:
    """Return the state of each file now."""
    return tuple(_stamp(file) for file in files)


def _stamp(file: Path) -> Stamp:
    try:
        status = os.stat(file)
    except OSError:
        return file, 0, 0, 0
    return file, status.st_ctime_ns, status.st_size, status.st_ino
