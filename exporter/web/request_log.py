"""A line at level debug for every request that was answered, without its query."""

import time

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = structlog.get_logger()

MOST_CHARACTERS = 200
"""Of what a client says of itself: its path and its user agent."""


def logged(application: ASGIApp) -> ASGIApp:
    """Log what the application answers; `code` is empty for a client that left before its answer began."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        code = ""

        async def send_noting_code(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = str(message["status"])
            await send(message)

        try:
            await application(scope, receive, send_noting_code)
        finally:
            logger.debug(
                "answered",
                method=scope["method"],
                path=scope["path"][:MOST_CHARACTERS],
                code=code,
                duration_seconds=round(time.perf_counter() - started, 4),
                user_agent=Headers(scope=scope).get("user-agent", "")[:MOST_CHARACTERS],
            )

    return answer
