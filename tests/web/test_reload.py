"""`POST /-/reload`: who may ask for it."""

import httpx
import pytest

from exporter.difference import Difference
from exporter.web.routes import application
from tests.shown import Shown

EXTERNAL_URL = "https://monitoring.example.org/engagement"


class Reloading(Shown):
    """A view that has nothing to change."""

    async def reload(self, *, dry_run: bool) -> Difference:
        return Difference((), (), (), ())


async def status(headers: dict[str, str]) -> int:
    transport = httpx.ASGITransport(application(Reloading(), "/metrics", EXTERNAL_URL))
    async with httpx.AsyncClient(transport=transport, base_url="http://exporter:10360") as http:
        return (await http.post("/-/reload", headers=headers)).status_code


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://exporter:10360"},
        {"Origin": "https://monitoring.example.org"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://behind-a-proxy.example.org"},
        {"Sec-Fetch-Site": "none"},
    ],
)
async def test_programs_and_pages_of_the_exporter_may_reload(headers: dict[str, str]) -> None:
    assert await status(headers) == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://elsewhere.example"},
        {"Origin": "http://exporter:10361"},
        {"Origin": "null"},
        {"Origin": "http://[", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://exporter:10360"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_a_page_of_another_site_may_not(headers: dict[str, str]) -> None:
    """A browser sends the password that it remembers along with what such a page makes it send."""
    assert await status(headers) == 403
