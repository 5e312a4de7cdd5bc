"""Who may call the demo organisation's 360Learning API, how often, and in what words it refuses.

Documented: the client credentials grant and its errors, the v1 headers, a v1 token from the company id and API
key, no exchange of credentials between v1 and v2, scopes per credential, the string form of 401 and 429 and the
object form of 403. Inferred: a credential that is wrong for the version is an `invalid_token`; the limit counts
fixed seconds; the token endpoint is not counted; v1 refuses with an `error` string.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from exporter.demo.budget import Budget

CLIENT_ID = "demo-360learning-client"
CLIENT_SECRET = "demo-360learning-secret"  # noqa: S105 - made up for the demo organisation
COMPANY_ID = "5f0c0ffee0c0ffee0c0ffee0"
API_KEY = "demo-360learning-v1-key"

SCOPES = (
    "users:read",
    "courses:read",
    "courseStats:read",
    "groups:read",
    "paths:read",
    "pathStats:read",
    "classrooms:read",
    "skills:read",
    "skillsPowers:read",
    "projects:read",
)


class _TokenRequest(msgspec.Struct):
    grant_type: str
    client_id: str
    client_secret: str


def answer(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON response."""
    return Response(msgspec.json.encode(body), status, headers, "application/json")


def refusal(status: int, code: str, message: str) -> Response:
    """An error in the object form: code and message under `error`."""
    return answer({"error": {"code": code, "message": message}}, status)


@dataclass(frozen=True, slots=True)
class Access:
    """The tokens given out; `expires_in_as_string` is the form of the example in the guide."""

    now: Callable[[], datetime]
    scopes: Collection[str]
    token_life_seconds: int
    expires_in_as_string: bool
    budget: Budget
    _tokens: dict[str, tuple[str, datetime]] = field(default_factory=dict)

    async def token(self, request: Request) -> Response:
        """POST /api/v2/oauth2/token, for v2 with a client's credentials, for v1 with the company's."""
        try:
            grant = msgspec.json.decode(await request.body(), type=_TokenRequest)
        except msgspec.DecodeError:
            return answer({"error": "invalid_request"}, 400)
        if grant.grant_type != "client_credentials":
            return answer({"error": "unsupported_grant_type"}, 400)
        versions = {(CLIENT_ID, CLIENT_SECRET): "v2", (COMPANY_ID, API_KEY): "v1"}
        version = versions.get((grant.client_id, grant.client_secret))
        if version is None:
            return answer({"error": "invalid_client"}, 401)
        return answer(
            {
                "token_type": "Bearer",
                "access_token": self._new_token(version),
                "expires_in": str(self.token_life_seconds) if self.expires_in_as_string else self.token_life_seconds,
            }
        )

    def refuse_v2(self, request: Request, scope: str) -> Response | None:
        """What a v2 call gets instead of data, None if it is allowed."""
        if not self._has_token(request, "v2"):
            return answer({"error": "invalid_token"}, 401)
        if not self.budget.take():
            return answer({"error": "tooManyRequests"}, 429)
        if scope not in self.scopes:
            return refusal(403, "invalid_scope", f"The access token lacks the scope {scope}")
        return None

    def refuse_v1(self, request: Request) -> Response | None:
        """What a v1 call gets instead of data, None if it is allowed."""
        keys = (request.headers.get("x-company-id"), request.headers.get("x-apikey"))
        if keys != (COMPANY_ID, API_KEY) and not self._has_token(request, "v1"):
            return answer({"error": "unauthorized"}, 401)
        return None if self.budget.take() else answer({"error": "tooManyRequests"}, 429)

    def _new_token(self, version: str) -> str:
        token = f"eyJ.{version}.{sha256(f'token {len(self._tokens)}'.encode()).hexdigest()}"
        self._tokens[token] = (version, self.now() + timedelta(seconds=self.token_life_seconds))
        return token

    def _has_token(self, request: Request, version: str) -> bool:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        issued_for, expires_at = self._tokens.get(token, ("", self.now()))
        return scheme.lower() == "bearer" and issued_for == version and self.now() < expires_at
