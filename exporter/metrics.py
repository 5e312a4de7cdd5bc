"""Families and samples: what a series is called, what it means, and the naming rules that hold for all of them."""

import hashlib
import math
import re
from dataclasses import dataclass
from enum import StrEnum

import msgspec

NAME = re.compile(r"[a-z][a-z0-9_]*[a-z0-9]")
LABEL = re.compile(r"[a-z][a-z0-9_]*")
MOST_LABEL_CHARACTERS = 256
CUT_MARK = "…"
TARGET_LABEL = "target"
"""The configured name of the target: the exporter puts it before a platform family's own labels, in one place."""


class Kind(StrEnum):
    """Metric types as Prometheus names them."""

    GAUGE = "gauge"
    INFO = "info"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Family:
    """A metric family: `labels` are its label names in exposition order, without `target` for a platform's family.

    Raises ValueError for a name that breaks the contract's naming rules, so that a platform module with one does
    not even import.
    """

    name: str
    help: str
    labels: tuple[str, ...] = ()
    kind: Kind = Kind.GAUGE

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is not a metric name")
        if (self.kind is Kind.INFO) != self.name.endswith("_info"):
            raise ValueError(f"{self.name}: info families, and only they, end in _info")
        if (self.kind is Kind.COUNTER) != self.name.endswith("_total"):
            raise ValueError(f"{self.name}: counters, and only they, end in _total")
        if self.name.endswith(("_count", "_sum", "_bucket", "_created")):
            raise ValueError(f"{self.name}: this ending belongs to histograms and counters")
        bad = [label for label in self.labels if not LABEL.fullmatch(label)]
        if bad or len(set(self.labels)) != len(self.labels):
            raise ValueError(f"{self.name}: illegal or repeated label names in {self.labels}")
        if not self.help.strip():
            raise ValueError(f"{self.name}: HELP is documentation for users and must not be empty")

    def sample(self, value: float, ends_at: float = math.inf, /, **labels: str) -> "Sample":
        """Raises TypeError unless `labels` are exactly the family's label names."""
        if len(labels) != len(self.labels):
            raise TypeError(f"{self.name} has the labels {self.labels}, not {tuple(labels)}")
        try:
            return Sample(self, tuple([labels[name] for name in self.labels]), value, ends_at)
        except KeyError as error:
            raise TypeError(f"{self.name} has the labels {self.labels}, not {tuple(labels)}") from error


class Sample(msgspec.Struct, frozen=True, gc=False):
    """One series with its value; `labels` are values in the order of `family.labels`.

    From `ends_at` (Unix time) on the value is not that of its series any more: a window of the calendar has ended, and
    its name has passed to the next one.

    The garbage collector leaves samples out, since they can be part of no cycle: going through a million of them
    would stop everything for 0.1 s.
    """

    family: Family
    labels: tuple[str, ...]
    value: float
    ends_at: float = math.inf


def shortened(value: str) -> str:
    """Return a label's value, cut beyond MOST_LABEL_CHARACTERS: a Prometheus with a limit refuses pages.

    A cut one ends in the mark and eight characters that tell it from others with the same beginning.
    """
    if len(value) <= MOST_LABEL_CHARACTERS:
        return value
    tail = CUT_MARK + hashlib.sha256(value.encode(errors="surrogatepass")).hexdigest()[:8]
    return value[: MOST_LABEL_CHARACTERS - len(tail)] + tail


def is_cut(value: str) -> bool:
    """True if `shortened` has cut the value."""
    return len(value) == MOST_LABEL_CHARACTERS and value[-9] == CUT_MARK


def info(name: str, help: str, labels: tuple[str, ...]) -> Family:
    """Make the family of constant properties; its samples have the value 1."""
    return Family(name, help, labels, Kind.INFO)
