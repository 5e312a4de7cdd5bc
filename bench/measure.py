"""What a process takes: CPU time and memory as Linux counts them, and a fresh process to count them in."""

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
BYTES_PER_KIB = 1024
NANOSECONDS_PER_SECOND = 1_000_000_000
BYTES_PER_MB = 1_000_000


def in_fresh_process(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `function` in a new interpreter, whose memory no earlier call has touched."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *args, **kwargs).result()


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has taken, user and system, in steps of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def live_threads_cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process's present threads have taken, to the nanosecond."""
    statistics = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(path.read_text().split()[0]) for path in statistics) / NANOSECONDS_PER_SECOND


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process now."""
    return _status_mb(pid, "VmRSS")


def peak_resident_mb(pid: int) -> float:
    """Return the largest resident memory that a process ever had."""
    return _status_mb(pid, "VmHWM")


def _status_mb(pid: int, name: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    kib = next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
    return kib * BYTES_PER_KIB / BYTES_PER_MB
