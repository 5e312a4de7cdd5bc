"""Who may read the endpoints: what the file of `--web.config.file` says, read anew whenever a file of it changes."""

import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import bcrypt
import structlog
from pydantic import ValidationError
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exporter.errors import ConfigError, Problem
from exporter.file_stamp import Stamp, stamps
from exporter.validation import problems_of, read_file
from exporter.web.basic_auth import BasicAuth, Verdict
from exporter.web.tls import CurrentContext, server_context
from exporter.web.web_config import WebConfig

logger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Rules:
    """What is in force: TLS (None: plain HTTP), bcrypt hashes by user, headers of every answer, state of the files."""

    tls: ssl.SSLContext | None
    users: Mapping[str, bytes] = field(repr=False)
    headers: Mapping[str, str]
    stamps: tuple[Stamp, ...]


def load(path: Path) -> Rules:
    """Read and check the file at `path` and the files that it names. Raises ConfigError."""
    seen = stamps([path])
    document = read_file(path, "--web.config.file", None)
    data = {} if document.data is None else document.data
    try:
        config = WebConfig.model_validate(data, context={"folder": path.parent})
    except ValidationError as error:
        raise ConfigError(tuple(problems_of(document, (), error, WebConfig))) from None
    tls = config.tls_server_config
    problems = [document.problem(("tls_server_config", key), message) for key, message in tls.problems()]
    if problems:
        raise ConfigError(tuple(problems))
    # taken before the files are read, so that a change in between is noticed
    seen += stamps(file for file in (tls.cert_file, tls.key_file, tls.client_ca_file) if file)
    return Rules(
        server_context(tls, document),
        {user: hashed.get_secret_value().encode() for user, hashed in config.basic_auth_users.items()},
        config.http_server_config.headers.model_dump(by_alias=True, exclude_none=True),
        seen,
    )


class Access:
    """Guards the endpoints by the file at `path`. Raises ConfigError if the file is wrong at the start."""

    def __init__(self, path: Path, checkpw: Callable[[bytes, bytes], bool] = bcrypt.checkpw) -> None:
        self._path = path
        self._rules = load(path)
        self._complaint: tuple[Problem, ...] = ()
        self._auth = BasicAuth(checkpw)

    def tls(self) -> ssl.SSLContext | None:
        """Return a context that always uses the current certificates, None for plain HTTP."""
        return CurrentContext(self._current_tls) if self._rules.tls else None

    def guard(self, application: ASGIApp) -> ASGIApp:
        """Answer requests of users who may, 401 to others; set the headers of the file on every answer."""

        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            rules = self._current()

            async def send_with_headers(message: Message) -> None:
                if message["type"] == "http.response.start":
                    MutableHeaders(scope=message).update(rules.headers)
                await send(message)

            refusal = await self._refusal(rules, scope)
            await (refusal or application)(scope, receive, send_with_headers)

        return guarded

    async def _refusal(self, rules: Rules, scope: Scope) -> ASGIApp | None:
        if not rules.users:
            return None
        address, _port = scope["client"] or ("", 0)
        match await self._auth.verdict(rules.users, Headers(scope=scope).get("authorization", ""), address):
            case Verdict.GOOD:
                return None
            case Verdict.WRONG:
                challenge = {"WWW-Authenticate": 'Basic realm="engagement-exporter", charset="UTF-8"'}
                return PlainTextResponse("Unauthorized\n", 401, challenge)
            case Verdict.BUSY:
                return PlainTextResponse("too many logins at once\n", 429, {"Retry-After": "1"})

    def _current_tls(self) -> ssl.SSLContext:
        return cast("ssl.SSLContext", self._current().tls)  # _current never switches TLS off

    def _current(self) -> Rules:
        """Return the rules in force; changed files that are wrong leave the old ones and are tried at the next call."""
        if self._rules.stamps == stamps(path for path, *_ in self._rules.stamps):
            return self._rules
        try:
            rules = load(self._path)
            if problems := tuple(self._not_while_running(rules)):
                raise ConfigError(problems)
        except ConfigError as error:
            self._complain(error.problems)
            return self._rules
        self._rules, self._complaint = rules, ()
        logger.info("web configuration applied", file=str(self._path))
        return rules

    def _not_while_running(self, rules: Rules) -> Iterator[Problem]:
        """Yield what a change may not do by itself: a file that was emptied by accident must not let everybody in."""

        def problem(key: str, message: str) -> Problem:
            return Problem(
                str(self._path), 1, 1, key, f"{message} while the exporter runs; restart it if that is meant"
            )

        if (rules.tls is None) != (self._rules.tls is None):
            yield problem("tls_server_config", "TLS cannot be switched on or off")
        elif rules.tls and self._rules.tls and rules.tls.verify_mode < self._rules.tls.verify_mode:
            yield problem("client_auth_type", "client certificates cannot become unnecessary")
        if self._rules.users and not rules.users:
            yield problem("basic_auth_users", "passwords cannot be switched off")

    def _complain(self, problems: tuple[Problem, ...]) -> None:
        """Log what is wrong with the files, once until that changes."""
        if problems != self._complaint:
            self._complaint = problems
            for problem in problems:
                logger.error("web configuration not applied, the old one stays in force", error=str(problem))
