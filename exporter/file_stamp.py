"""The state of a file, so that a change of it is noticed, and its contents if it is one."""

import errno
import os
import stat
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


def read_regular(file: Path) -> bytes:
    """Return the contents. Raises OSError, also for a pipe or a device: reading one could wait for ever."""
    mode = os.stat(file).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError(errno.EINVAL, "is a pipe or a device, not a file", str(file))
    return file.read_bytes()
