"""What can go wrong between an exporter and a platform, to be switched on and off while the demo runs.

A `Fault` stands in front of an application and answers in its place, or lets it answer and spoils the reply.
`faults` names all of them, with everyday arguments.
"""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from itertools import cycle, islice
from typing import Any
from urllib.parse import parse_qs, urlencode

from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

Fault = Callable[[ASGIApp, Scope, Receive, Send], Awaitable[None]]

_ELSEWHERE = "http://elsewhere.invalid"
_ENDLESS_TOTAL = 1_000_000_000
_KEPT_REQUESTS = 10_000


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """What a client asked for; `query` is the raw query string. Headers hold secrets and are not kept."""

    method: str
    path: str
    query: str


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply of an application; header names are lower case."""

    status_code: int
    headers: dict[str, str]
    body: bytes


class Switch:
    """The fault of one platform, if any, as a run of the demo turns it on and off."""

    def __init__(self) -> None:
        self._fault: Fault | None = None
        self._path_prefix = "/"
        self._times_left: int | None = None

    def set(self, fault: Fault, path_prefix: str = "/", times: int | None = None) -> None:
        """Let `fault` hit the next `times` requests (all of them for None) to paths under `path_prefix`.

        A path that hands out tokens is hit only when the prefix names it.
        """
        self._fault, self._path_prefix, self._times_left = fault, path_prefix, times

    def clear(self) -> None:
        """Let every request through again."""
        self._fault = None

    def take(self, path: str) -> Fault | None:
        """The fault that hits a request to `path`, which is then counted."""
        spared = path.endswith("/token") and not self._path_prefix.endswith("/token")
        if self._fault is None or self._times_left == 0 or spared or not path.startswith(self._path_prefix):
            return None
        if self._times_left is not None:
            self._times_left -= 1
        return self._fault


class Faulty:
    """An application behind its switch, with a record of the latest requests, oldest first."""

    def __init__(self, application: ASGIApp, switch: Switch) -> None:
        self.application = application
        self.switch = switch
        self.requests: deque[RecordedRequest] = deque(maxlen=_KEPT_REQUESTS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request, spoiled or not."""
        if scope["type"] == "http":
            request = RecordedRequest(scope["method"], scope["path"], scope["query_string"].decode())
            self.requests.append(request)
            fault = self.switch.take(request.path)
            if fault is not None:
                await fault(self.application, scope, receive, send)
                return
        await self.application(scope, receive, send)


def status(status_code: int, headers: Mapping[str, str] | None = None) -> Fault:
    """A status with the HTML page of a proxy, whatever the platform's own body would be."""
    page = f"<html><head><title>{status_code}</title></head><body><h1>{status_code}</h1></body></html>"
    return _answer(Response(page, status_code, headers, media_type="text/html"))


def retry_after_seconds(seconds: int) -> Fault:
    """A 429 that names its wait as a number of seconds."""
    return status(429, {"Retry-After": str(seconds)})


def retry_after_date(seconds: int, now: Callable[[], datetime]) -> Fault:
    """A 429 that names its wait as the HTTP date `seconds` after `now`, an aware UTC time."""

    async def fault(_: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        date = format_datetime(now() + timedelta(seconds=seconds), usegmt=True)
        await Response(status_code=429, headers={"Retry-After": date})(scope, receive, send)

    return fault


def rate_limit_reset(seconds: int, now: Callable[[], datetime]) -> Fault:
    """A 429 whose window, used up, ends `seconds` after `now`: given in epoch seconds."""

    async def fault(_: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        reset = int(now().timestamp()) + seconds
        headers = {
            "X-RateLimit-Limit": "100",
            "X-RateLimit-Remaining": "0",
            "X-RateLimit-Reset": str(reset),
        }
        await Response(status_code=429, headers=headers)(scope, receive, send)

    return fault


def html() -> Fault:
    """A page for people, with 200, as a sign-in or maintenance page of a proxy comes."""
    return _answer(Response("<!doctype html><title>Welcome</title><h1>Welcome</h1>", media_type="text/html"))


def body(content: bytes) -> Fault:
    """These bytes with 200, said to be JSON."""
    return _answer(Response(content, media_type="application/json"))


def redirect(origin: str) -> Fault:
    """A 302 to the sign-in page of another origin."""
    return _answer(RedirectResponse(f"{origin}/signin", status_code=302))


def slow(delay_seconds: float) -> Fault:
    """The right reply, after a delay."""

    async def fault(application: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(delay_seconds)
        await application(scope, receive, send)

    return fault


def cut() -> Fault:
    """A connection that ends in the middle of the body; needs a real server around the application."""

    async def fault(application: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        reply = await _reply(application, scope, receive)
        whole = {**reply.headers, "content-length": str(len(reply.body))}
        await send(_start(reply.status_code, whole))
        await send({"type": "http.response.body", "body": reply.body[: len(reply.body) // 2], "more_body": True})

    return fault


def truncated() -> Fault:
    """A whole HTTP reply whose JSON stops half way."""
    return _spoil(lambda _, reply: replace(reply, body=reply.body[: len(reply.body) // 2]))


def numbers_as_strings() -> Fault:
    """A document of the right shape in which every number has become a string."""
    return _spoil(lambda _, reply: _with_document(reply, _stringified(json.loads(reply.body))))


def lists_as_objects() -> Fault:
    """A document in which every list has become an object, keyed by position."""
    return _spoil(lambda _, reply: _with_document(reply, _keyed(json.loads(reply.body))))


def wrong_total() -> Fault:
    """A list whose total (`totalCount`, or `count` beside `results`) is one higher than its rows."""

    def spoiled(_: Scope, reply: Reply) -> Reply:
        document = json.loads(reply.body)
        key = _total_key(document)
        return _with_document(reply, {**document, key: document[key] + 1}) if key else reply

    return _spoil(spoiled)


def foreign_next(origin: str) -> Fault:
    """A list whose next page lies elsewhere on another origin: in the `Link` header, or under the key `next`."""
    return _spoil(lambda scope, reply: _with_next(reply, f"{origin}/elsewhere{scope['path']}?next=2"))


def repeated_page() -> Fault:
    """A list that never ends since every page is the first one again, and says that more follow."""

    def spoiled(scope: Scope, reply: Reply) -> Reply:
        return _with_next(_with_rows(reply, lambda rows: rows), _url(scope, {}))

    return _spoil(spoiled, from_start=True)


def endless_pages() -> Fault:
    """A list that never ends since every page, a full one, holds rows with new ids."""

    def spoiled(scope: Scope, reply: Reply) -> Reply:
        query = _query(scope)
        position = int(query.get("offset") or query.get("last_id") or query.get("next") or 0)
        rows_asked = int(query.get("limit", 0))
        following = position

        def renewed(rows: list[Any]) -> list[Any]:
            nonlocal following
            following = position + max(len(rows), rows_asked)
            copies = islice(cycle(rows), following - position)
            return [_renumbered(row, position + number) for number, row in enumerate(copies, start=1)]

        longer = _with_rows(reply, renewed)
        parameter = "offset" if "offset" in query or "limit" in query else "next"
        return _with_next(longer, _url(scope, {parameter: str(following)}))

    return _spoil(spoiled, from_start=True)


def faults(now: Callable[[], datetime]) -> dict[str, Fault]:
    """Every fault by name, with waits of a second and an origin that does not exist."""
    codes: dict[str, Fault] = {str(code): status(code) for code in (401, 403, 429, 500, 502, 503, 504)}
    return codes | {
        "429 retry-after seconds": retry_after_seconds(1),
        "429 retry-after date": retry_after_date(1, now),
        "429 reset": rate_limit_reset(1, now),
        "html": html(),
        "empty body": body(b""),
        "null": body(b"null"),
        "redirect": redirect(_ELSEWHERE),
        "slow": slow(1),
        "cut": cut(),
        "truncated": truncated(),
        "numbers as strings": numbers_as_strings(),
        "lists as objects": lists_as_objects(),
        "wrong total": wrong_total(),
        "foreign next": foreign_next(_ELSEWHERE),
        "repeated page": repeated_page(),
        "endless pages": endless_pages(),
    }


def _answer(response: Response) -> Fault:
    async def fault(_: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        await response(scope, receive, send)

    return fault


def _spoil(spoiled: Callable[[Scope, Reply], Reply], *, from_start: bool = False) -> Fault:
    """The application's reply (to a request for the first page if `from_start`), spoiled if it is a success."""

    async def fault(application: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        asked = _first_page(scope) if from_start else scope
        reply = await _reply(application, asked, receive)
        if reply.status_code == 200 and reply.headers.get("content-type", "").startswith("application/json"):
            reply = spoiled(scope, reply)
        await send(_start(reply.status_code, {**reply.headers, "content-length": str(len(reply.body))}))
        await send({"type": "http.response.body", "body": reply.body})

    return fault


async def _reply(application: ASGIApp, scope: Scope, receive: Receive) -> Reply:
    messages: list[Message] = []

    async def keep(message: Message) -> None:
        messages.append(message)

    await application(scope, receive, keep)
    headers = {name.decode().lower(): value.decode() for name, value in messages[0]["headers"]}
    whole = b"".join(message.get("body", b"") for message in messages[1:])
    return Reply(messages[0]["status"], headers, whole)


def _start(status_code: int, headers: dict[str, str]) -> Message:
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http.response.start", "status": status_code, "headers": encoded}


def _query(scope: Scope) -> dict[str, str]:
    return {key: values[-1] for key, values in parse_qs(scope["query_string"].decode()).items()}


def _first_page(scope: Scope) -> Scope:
    kept = parse_qs(scope["query_string"].decode())
    for parameter in ("offset", "last_id", "next"):
        kept.pop(parameter, None)
    return {**scope, "query_string": urlencode(kept, doseq=True).encode()}


def _url(scope: Scope, changes: dict[str, str]) -> str:
    host = dict(scope["headers"]).get(b"host", b"").decode()
    return f"{scope['scheme']}://{host}{scope['path']}?{urlencode({**_query(scope), **changes})}"


def _with_document(reply: Reply, document: Any) -> Reply:
    return replace(reply, body=json.dumps(document).encode())


def _total_key(document: Any) -> str | None:
    if not isinstance(document, dict):
        return None
    if "totalCount" in document:
        return "totalCount"
    return "count" if "results" in document else None


def _with_next(reply: Reply, url: str) -> Reply:
    """The reply with `url` as its next page if it is a list: bare (a header) or with a key `next`."""
    document = json.loads(reply.body)
    if isinstance(document, list):
        return replace(reply, headers={**reply.headers, "link": f'<{url}>; rel="next"'})
    return _with_document(reply, {**document, "next": url}) if "next" in document else reply


def _with_rows(reply: Reply, changed: Callable[[list[Any]], list[Any]]) -> Reply:
    """The reply with its rows changed and its total, if it has one, out of reach."""
    document = json.loads(reply.body)
    if isinstance(document, list):
        return _with_document(reply, changed(document))
    key = _total_key(document)
    if key is None:
        return reply
    rows = {name: changed(value) for name, value in document.items() if isinstance(value, list)}
    return _with_document(reply, {**document, **rows, key: _ENDLESS_TOTAL})


def _renumbered(row: dict[str, Any], number: int) -> dict[str, Any]:
    """The row with another id, of the form it had."""
    key = "_id" if "_id" in row else "id"
    return {**row, key: number if isinstance(row.get(key), int) else f"{number:024x}"}


def _stringified(document: Any) -> Any:
    if isinstance(document, dict):
        return {key: _stringified(value) for key, value in document.items()}
    if isinstance(document, list):
        return [_stringified(value) for value in document]
    is_number = isinstance(document, int | float) and not isinstance(document, bool)
    return str(document) if is_number else document


def _keyed(document: Any) -> Any:
    if isinstance(document, dict):
        return {key: _keyed(value) for key, value in document.items()}
    if isinstance(document, list):
        return {str(position): _keyed(value) for position, value in enumerate(document)}
    return document
