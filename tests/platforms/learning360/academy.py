"""A small academy in the shapes that the vendor documents, behind both versions of the API; its people are made up."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from exporter.platforms.learning360 import PLATFORM
from exporter.platforms.learning360.settings import Learning360Settings

FOLDER = Path(__file__).parent
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
COLLECTORS = {collector.name: collector for collector in PLATFORM.collectors}
V1_COLLECTORS = ("users", "courses", "groups", "attempts", "paths", "path_stats")
V2_KEYS = {"client_id": "reporting", "client_secret": "s3cret"}
V1_KEYS = {"api_version": "v1", "company_id": "a1b2c3", "api_key": "k3y"}


def documented(name: str) -> Any:
    """Read a reply from its file."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def settings(**keys: Any) -> Learning360Settings:
    """Make the settings of a target; v2 unless the keys say otherwise."""
    keys = keys if "api_version" in keys else {**V2_KEYS, **keys}
    return Learning360Settings(name="academy", platform="learning360", url="https://app.example.org", **keys)


class Academy:
    """Answers as 360Learning documents it, v2 in pages of `page_size`; `replies` holds the lists by path."""

    def __init__(self, page_size: int = 2) -> None:
        self.page_size = page_size
        self.requests: list[httpx.Request] = []
        self.replies: dict[str, Any] = {
            "/api/v2/" + name.replace("_", "/"): documented(name)
            for name in (
                "users",
                "courses",
                "groups",
                "courses_stats",
                "paths",
                "paths_sessions",
                "paths_stats",
                "classrooms",
                "skills",
                "skills_powers",
                "projects",
            )
        }
        for name in ("users", "courses", "groups", "courses_stats", "paths", "paths_sessions"):
            self.replies["/api/v1/" + name.replace("_", "/")] = documented(f"v1_{name}")
        for session, stats in documented("v1_session_stats").items():
            self.replies[f"/api/v1/paths/sessions/{session}/stats/users"] = stats

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        path = request.url.path
        if request.method == "POST":
            return httpx.Response(200, json={"token_type": "Bearer", "access_token": "t0ken", "expires_in": "3600"})
        reply = self.replies.get(path, httpx.Response(404, json={"error": {"code": "notFound", "message": "?"}}))
        if isinstance(reply, httpx.Response):
            return reply
        return httpx.Response(200, json=reply) if path.startswith("/api/v1/") else self._page(request, reply)

    def _page(self, request: httpx.Request, rows: list[Any]) -> httpx.Response:
        start = int(request.url.params.get("next", 0))
        end = start + self.page_size
        link = {"Link": f'<{request.url.path}?next={end}>; rel="next"'} if end < len(rows) else {}
        return httpx.Response(200, json=rows[start:end], headers=link)
