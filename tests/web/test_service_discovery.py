"""`/sd`: where Prometheus is sent, and what it learns of each target."""

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from exporter.web.route_prefix import below
from exporter.web.routes import application
from tests.shown import Shown, answer, pending

SITES = Shown(
    [
        pending("academy", "statistics", "konstantly", 900),
        pending("academy", "courses", "konstantly", 3_600),
        pending("crowd", "stats", "pybossa", 31_536_000),
    ],
    others=["resting"],
)


async def discovered(
    base_url: str = "http://exporter:10360", external_url: str = "", prefix: str = "", **headers: str
) -> httpx.Response:
    """The answer to Prometheus that reads `/sd` below the prefix."""
    transport = httpx.ASGITransport(below(prefix, application(SITES, "/metrics", external_url)))
    async with httpx.AsyncClient(transport=transport, base_url=base_url) as http:
        return await http.get(f"{prefix}/sd", headers=headers)


async def test_every_target_that_polls_is_told_with_what_relabelling_needs() -> None:
    academy, crowd = (await answer("/sd", SITES, host="exporter:10360")).json()

    assert academy == {
        "targets": ["exporter:10360"],
        "labels": {
            "__scheme__": "http",
            "__metrics_path__": "/metrics",
            "__param_target": "academy",
            "instance": "academy",
            "__meta_engagement_target": "academy",
            "__meta_engagement_platform": "konstantly",
            "__meta_engagement_url": "https://academy.example.org",
            "__meta_engagement_collectors": ",statistics,courses,",
            "__meta_engagement_interval_seconds": "900",
        },
    }
    assert crowd["labels"]["__param_target"] == "crowd"
    assert crowd["labels"]["__meta_engagement_interval_seconds"] == "31536000"


async def test_the_content_type_is_what_prometheus_demands() -> None:
    assert (await discovered()).headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("base_url", "external_url", "prefix", "expected"),
    [
        ("http://exporter:10360", "", "", ("http", "exporter:10360", "/metrics")),
        ("http://exporter", "", "", ("http", "exporter:80", "/metrics")),
        ("https://exporter", "", "", ("https", "exporter:443", "/metrics")),
        ("https://[::1]:8443", "", "", ("https", "[::1]:8443", "/metrics")),
        ("https://[::1]", "", "", ("https", "[::1]:443", "/metrics")),
        ("http://exporter:10360", "", "/engagement", ("http", "exporter:10360", "/engagement/metrics")),
        ("http://upstream", "https://example.org/engagement", "", ("https", "example.org:443", "/engagement/metrics")),
        ("http://upstream", "https://example.org/e/", "/e", ("https", "example.org:443", "/e/metrics")),
        ("http://upstream", "http://example.org:8080", "", ("http", "example.org:8080", "/metrics")),
    ],
)
async def test_prometheus_is_sent_where_it_came_from_or_to_the_external_url(
    base_url: str, external_url: str, prefix: str, expected: tuple[str, str, str]
) -> None:
    group = (await discovered(base_url, external_url, prefix)).json()[0]

    labels = group["labels"]
    assert (labels["__scheme__"], *group["targets"], labels["__metrics_path__"]) == expected


@pytest.mark.parametrize(
    "host",
    ["", "a b", "a/b", "user@exporter", "exporter:99999", "exporter:0", "exporter:", '"', "::1", "[::1::]", "[.]"],
)
async def test_a_host_that_could_not_be_scraped_is_refused_with_the_remedy(host: str) -> None:
    response = await discovered(host=host)

    assert response.status_code == 400
    assert response.text == "the request has no Host header that could be scraped; set --web.external-url\n"


@pytest.mark.parametrize("scheme", ["ws", "wss", "ftp", ""])
async def test_a_scheme_that_could_not_be_scraped_is_refused_with_the_remedy(scheme: str) -> None:
    """A proxy names it in a header, and uvicorn takes it over."""
    endpoints = application(SITES, "/metrics")

    async def behind_proxy(scope: Scope, receive: Receive, send: Send) -> None:
        await endpoints({**scope, "scheme": scheme}, receive, send)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(behind_proxy), base_url="http://exporter") as http:
        response = await http.get("/sd")

    assert response.status_code == 400
    assert response.text == "a proxy says that the request was neither http nor https; set --web.external-url\n"


async def test_with_an_external_url_the_host_does_not_matter() -> None:
    group = (await discovered(external_url="https://example.org", host="")).json()[0]

    assert group["targets"] == ["example.org:443"]
