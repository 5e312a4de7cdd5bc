"""Every exception of the exporter, grouped by what the caller does about it.

EngagementError
  ConfigError            refuse to start (or to reload): the operator mends the file
  StorageInUseError      refuse to start: another process has the folder of --storage.path
  ChoiceError            a command names what there is not: refuse it as wrong usage
  BackfillError          a history cannot be written or sent: the operator mends what the message names
  CollectError           this run failed: keep the last complete result, show the state, try again at the next run
    UnauthorizedError      unauthorized      the credential was refused
    ForbiddenError         forbidden         the credential is good but lacks a right
    RateLimitedError       rate_limited      the platform asked us to wait
    UnreachableError       unreachable       no reply: name, connection, TLS, or cut in the middle
    ProxyLoginError        unreachable       the proxy on the way asks for a login, or refused the one it got
    DeadlineError          timeout           no complete reply in time
    ServerError            server_error      the platform answered 5xx, or failed in its own words
    InvalidResponseError   invalid_response  a reply that is not what the API documents
      TooLargeError                          a body over the target's cap
      BadRequestError                        400: the platform does not take what was asked
      NotFoundError                          404: often an object that vanished since it was listed
      RedirectError                          3xx: never followed
    IncompleteError        incomplete        a list did not arrive whole

A bug in a platform module is none of these: it becomes the state `internal_error` with a traceback in the log.
Messages give method, endpoint and status, never a query string, a header, a body or a secret.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


class State(StrEnum):
    """What came of a collector's last run; the closed set of `engagement_collector_state`."""

    PENDING = "pending"
    OK = "ok"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    RATE_LIMITED = "rate_limited"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    SERVER_ERROR = "server_error"
    INVALID_RESPONSE = "invalid_response"
    INCOMPLETE = "incomplete"
    INTERNAL_ERROR = "internal_error"


class EngagementError(Exception):
    """Root of all errors that the exporter raises on purpose."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong with a configuration file: where it stands, which key, and what to do."""

    file: str
    line: int
    column: int
    key: str
    message: str

    def __str__(self) -> str:
        key = f"{self.key}: " if self.key else ""
        return f"{self.file}:{self.line}:{self.column}: {key}{self.message}"


class ConfigError(EngagementError):
    """The configuration cannot be used; `problems` lists every problem found, in the order of the file."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class StorageInUseError(EngagementError):
    """Another exporter has the folder of the storage; the message says which."""


class ChoiceError(EngagementError):
    """A name of a target or collector that nothing is called; the message names those that there are."""


class BackfillError(EngagementError):
    """A history cannot be written or sent; the message says what to do."""


class CollectError(EngagementError):
    """A run failed. `state` is what the collector shows, `remedy` what an operator can do about it."""

    state: ClassVar[State]
    remedy: str = ""

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        if remedy is not None:
            self.remedy = remedy


class UnauthorizedError(CollectError):
    """The platform refused the credential (401, or the token endpoint did)."""

    state = State.UNAUTHORIZED
    remedy = "check the target's credential: it may be mistyped, expired or revoked"


class ForbiddenError(CollectError):
    """The credential is valid but may not read this endpoint (403)."""

    state = State.FORBIDDEN
    remedy = "give the credential the right that this collector needs, or turn the collector off"


class RateLimitedError(CollectError):
    """The platform asked for a pause (429); `wait_seconds` is its length from now, None if it did not say."""

    state = State.RATE_LIMITED
    remedy = "lower requests_per_second or lengthen the intervals; the next run waits for the platform's pause to end"

    def __init__(self, message: str, *, wait_seconds: float | None = None) -> None:
        super().__init__(message)
        self.wait_seconds = wait_seconds


class UnreachableError(CollectError):
    """No reply arrived: name resolution, connection, TLS, or a connection cut in the middle."""

    state = State.UNREACHABLE
    remedy = "check url, proxy and ca_file, and that this host may connect to the platform"


class ProxyLoginError(CollectError):
    """The proxy before the platform answered 407; asking again would only lock the login out."""

    state = State.UNREACHABLE
    remedy = (
        "give the target's proxy a login that it takes, such as proxy: http://USER:PASSWORD@proxy.example.org:3128, "
        "from a variable"
    )


class DeadlineError(CollectError):
    """The reply, or the whole run, took longer than allowed."""

    state = State.TIMEOUT
    remedy = "raise timeout or requests_per_second, or ask the platform why it is slow"


class ServerError(CollectError):
    """The platform answered 5xx, or said in a reply that it failed.

    `wait_seconds` is the pause that it asked for with that, None without one.
    """

    state = State.SERVER_ERROR
    remedy = "the fault is on the platform's side; look at its status page if it lasts"

    def __init__(
        self, message: str, *, status: int, wait_seconds: float | None = None, remedy: str | None = None
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.status = status
        self.wait_seconds = wait_seconds


class InvalidResponseError(CollectError):
    """The reply is not what the API documents: wrong type, missing key, not JSON, too large, unexpected status."""

    state = State.INVALID_RESPONSE
    remedy = (
        "check that url points at the platform's API; if it does, the API changed: report it to the exporter's project"
    )


class BadRequestError(InvalidResponseError):
    """400: the platform does not take what was asked; `error_code` is its own word for why, empty if it gave none."""

    def __init__(self, message: str, *, error_code: str = "") -> None:
        super().__init__(message)
        self.error_code = error_code


class TooLargeError(InvalidResponseError):
    """The body of a reply is larger than the target allows; the rest of it was not read."""

    remedy = "raise the target's max_body_bytes if the platform really has that much to say"


class NotFoundError(InvalidResponseError):
    """404: the endpoint does not exist there, or the object vanished since it was listed."""


class RedirectError(InvalidResponseError):
    """3xx: redirects are not followed, since a credential must not travel to where they point.

    `location_path` is the path of the Location header, without host and query.
    """

    remedy = "set url to the address that the platform itself uses; a sign-in page means that a credential is needed"

    def __init__(self, message: str, *, location_path: str) -> None:
        super().__init__(message)
        self.location_path = location_path


class IncompleteError(CollectError):
    """A list did not arrive whole, so its count would be wrong; nothing of it is published."""

    state = State.INCOMPLETE
    remedy = "nothing to do if it happens now and then (the list changed while it was read); if it lasts, report it"
