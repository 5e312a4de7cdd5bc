"""Three ways of saying who asks: a header with a key, a bearer token, OAuth2 client credentials."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable

import httpx
import msgspec

from exporter.api.status import error_for
from exporter.errors import InvalidResponseError, UnauthorizedError
from exporter.settings import Secret

RENEW_AT_SHARE_OF_LIFE = 0.9


class HeaderKey(httpx.Auth):
    """Send a credential as a request header, after `prefix`; `others` are further headers that belong to it."""

    def __init__(self, header: str, secret: Secret, *, prefix: str = "", others: dict[str, str] | None = None) -> None:
        self._header = header
        self._secret = secret
        self._prefix = prefix
        self._others = others or {}

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """On 401 try once more if the credential's file holds another one by now."""
        credential = _read(self._secret)
        request.headers.update({**self._others, self._header: self._prefix + credential})
        response = yield request
        if response.status_code == 401 and (renewed := _read(self._secret)) != credential:
            request.headers[self._header] = self._prefix + renewed
            yield request


def _read(secret: Secret) -> str:
    try:
        return secret.read()
    except ValueError as error:
        raise UnauthorizedError(f"the credential {error}") from None


def bearer(secret: Secret) -> HeaderKey:
    """Send a token as `Authorization: Bearer TOKEN`."""
    return HeaderKey("Authorization", secret, prefix="Bearer ")


class _TokenReply(msgspec.Struct):
    access_token: str
    expires_in: float | str | None = None


class ClientCredentials(httpx.Auth):
    """OAuth2 client credentials: one token for the target, renewed before it expires and once after a 401.

    However many requests find the token missing or refused, one of them asks for a new one and the others wait.
    The body is JSON, as 360Learning documents it. `now` gives seconds of any clock that only moves forward.
    """

    def __init__(self, token_url: str, client_id: Secret, client_secret: Secret, now: Callable[[], float]) -> None:
        self.token_url = token_url
        self._client_id = client_id
        self._client_secret = client_secret
        self._now = now
        self._token = ""
        self._renew_at = 0.0
        self._renewal = asyncio.Lock()

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Raises UnauthorizedError when the token endpoint refuses the credentials."""
        async with self._renewal:
            if not self._token or self._now() >= self._renew_at:
                await self._keep((yield self._token_request(request)))
            token = self._token
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code != 401:
            return
        async with self._renewal:
            if self._token in (token, ""):  # empty when the renewal of another request failed
                await self._keep((yield self._token_request(request)))
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request

    def _token_request(self, request: httpx.Request) -> httpx.Request:
        """Ask for a token on behalf of `request`: as the same client, within the same timeouts."""
        self._token = ""
        body = {
            "grant_type": "client_credentials",
            "client_id": _read(self._client_id),
            "client_secret": _read(self._client_secret),
        }
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": request.headers.get("User-Agent", ""),
        }
        extensions = {"timeout": request.extensions.get("timeout", {})}
        return httpx.Request("POST", self.token_url, headers=headers, content=json.dumps(body), extensions=extensions)

    async def _keep(self, response: httpx.Response) -> None:
        endpoint = response.request.url.path
        if response.status_code in (400, 401, 403):
            raise UnauthorizedError(
                f"POST {endpoint} answered {response.status_code}: the client credentials were refused"
            )
        if response.status_code != 200:
            raise error_for("POST", endpoint, response.status_code, response.headers)
        try:
            reply = msgspec.json.decode(await response.aread(), type=_TokenReply)
            life_seconds = float(3600 if reply.expires_in is None else reply.expires_in)
        except (msgspec.DecodeError, ValueError):
            raise InvalidResponseError(
                f"POST {endpoint}: no access_token, or an expires_in that is no number"
            ) from None
        if not (
            reply.access_token.isascii()
            and reply.access_token.isprintable()
            and reply.access_token
            and life_seconds > 0
        ):
            raise InvalidResponseError(f"POST {endpoint}: an unusable access_token or expires_in")
        self._token = reply.access_token
        self._renew_at = self._now() + life_seconds * RENEW_AT_SHARE_OF_LIFE
