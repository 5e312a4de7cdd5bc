"""What the shape of a reply rests on, so that a guess is known for one wherever it is used."""

from dataclasses import dataclass
from enum import Enum


class Evidence(Enum):
    """How the shape of a reply is known, in the words of the documents."""

    SAMPLE = "vendor's sample"
    REFERENCE = "vendor's reference"
    """Field tables or a schema, without a sample."""
    RECORDING = "recording"
    """Replies of a real server."""
    INFERRED = "inferred"
    """A guess: nobody's word for it."""


@dataclass(frozen=True, slots=True)
class Basis:
    """What a collector takes for granted of an endpoint's replies: where that stands or, of a guess, what is guessed.

    `settled_by` says of a guess what would make it more than one. `api_version` is empty where the platform has one.
    """

    endpoint: str
    evidence: Evidence
    source: str
    settled_by: str = ""
    api_version: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError for a guess that nothing would settle, and for anything else that something would."""
        if self.is_guess != bool(self.settled_by):
            raise ValueError(f"{self.endpoint}: a guess, and only a guess, says what would settle it")

    @property
    def is_guess(self) -> bool:
        """True if it is inferred."""
        return self.evidence is Evidence.INFERRED
