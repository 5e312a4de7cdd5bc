"""The status page in a real Chromium: what a person sees, on a wide screen and a phone, in light and dark."""

import asyncio
import os
import re
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Literal

import pytest
import pytest_asyncio
import uvicorn
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, async_playwright

from exporter.api.client import Quota
from exporter.errors import UnreachableError
from exporter.web.listen import listen
from exporter.web.routes import application
from exporter.web.status import Reload
from tests.shown import Shown, failed, good, organisation, pending

WIDE, PHONE = 1200, 360
QUIET = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")

SYMBOLS = ("shortTextContent", "nonBmp")
"""axe cannot measure a text that is one character; ours repeat the word beside them, in its colours."""

RIGHT_TO_LEFT_OVERRIDE = "\u202e"
HOSTILE = [
    "<script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "\"'`></h2></section><h1>owned</h1>",
    "</style><style>body{display:none}</style>",
    f"{RIGHT_TO_LEFT_OVERRIDE}txt.exe",
    "longer-than-any-screen-" * 12,
]


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Browser]:
    """Debian's browser; root may not use its sandbox."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=QUIET, chromium_sandbox=os.getuid() != 0
        )
        yield browser
        await browser.close()


@asynccontextmanager
async def served(shown: Shown) -> AsyncIterator[str]:
    """Serve the endpoints over what is shown; gives their URL."""
    with listen("127.0.0.1", 0) as listener:
        server = uvicorn.Server(uvicorn.Config(application(shown, "/metrics"), lifespan="off", log_config=None))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


@asynccontextmanager
async def opened(
    chromium: Browser,
    shown: Shown,
    path: str = "/?refresh=off",
    width: int = WIDE,
    scheme: Literal["light", "dark"] = "light",
    javascript: bool = True,
) -> AsyncIterator[Page]:
    """Open a page, and fail when the browser has something to complain of, such as a breach of the policy."""
    complaints: list[str] = []
    async with served(shown) as url:
        context = await chromium.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, java_script_enabled=javascript
        )
        page = await context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(f"{url}{path}")
        yield page
        await context.close()
    assert [text for text in complaints if "favicon" not in text and "404" not in text] == []


async def text_of(page: Page, selector: str) -> str:
    """What is shown there, runs of space as one."""
    return " ".join((await page.locator(selector).inner_text()).split())


async def colours(page: Page, selector: str) -> tuple[str, str]:
    """Text and background of the first such element."""
    style = await page.locator(selector).first.evaluate(
        "element => [getComputedStyle(element).color, getComputedStyle(element).backgroundColor]"
    )
    return style[0], style[1]


def luminance(colour: str) -> float:
    """Relative luminance of `rgb(r, g, b)`, from 0 for black to 1 for white, as WCAG defines it."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(colours: tuple[str, str]) -> float:
    """Contrast of text and background, from 1 to 21."""
    darker, lighter = sorted(luminance(colour) for colour in colours)
    return (lighter + 0.05) / (darker + 0.05)


async def test_it_says_first_how_all_is_and_then_what_is_wrong(chromium: Browser) -> None:
    async with opened(chromium, organisation(time.time())) as page:
        title, headline = await page.title(), await text_of(page, ".headline")
        headings = await page.locator("h2").all_inner_texts()
        academy = await text_of(page, "section.card >> nth=0")

    assert title == "4 of 6 targets need attention · engagement-exporter"
    assert headline == "! 4 of 6 targets need attention"
    assert headings == ["academy", "learning", "crowd", "library", "workshop", "bridges"]
    assert "Credential refused unauthorized" in academy
    assert "The platform does not accept the credential. The last complete values are still served." in academy
    assert "Error: GET /openapi/v1/groups answered 401" in academy
    assert "What to do: check the target's credential" in academy
    assert "2 h ago late: over 2 intervals of 15m" in academy


async def test_states_and_ages_are_rows_that_a_screen_reader_can_name(chromium: Browser) -> None:
    async with opened(chromium, organisation(time.time()), "/?refresh=off&target=crowd") as page:
        table = page.get_by_role("table", name="Collectors of crowd")
        columns = await table.get_by_role("columnheader").all_inner_texts()
        late = await table.get_by_role("row", name="projects").inner_text()
        meters = await table.get_by_role("meter", name="age of the values in intervals").evaluate_all(
            "meters => meters.map(meter => [meter.value, meter.max])"
        )

    assert columns == ["Collector", "State", "Values", "Last run", "Next run", "Samples"]
    assert "Late" in late
    assert "late: over 2 intervals of 1h" in late
    assert meters[0][0] == pytest.approx(200 / 900, abs=0.02)
    assert meters[1] == [2, 2]


async def test_late_is_told_by_words_and_by_another_colour(chromium: Browser) -> None:
    async with opened(chromium, organisation(time.time()), "/?refresh=off&target=crowd") as page:
        good_badge, late_badge = await colours(page, ".badge.well"), await colours(page, "td .badge.attention")

    assert good_badge != late_badge


@pytest.mark.parametrize("javascript", [True, False])
async def test_hostile_text_is_shown_as_it_is_and_does_nothing(chromium: Browser, javascript: bool) -> None:
    now = time.time()
    entries = [
        failed(good(pending(text, text, text), now), now, UnreachableError(text, remedy=text)) for text in HOSTILE
    ]
    shown = Shown(entries, last_reload=Reload(now, "\n".join(HOSTILE)))
    async with opened(chromium, shown, javascript=javascript) as page:
        names = await page.locator("h2 bdi").all_inner_texts()
        title = await page.title()
        elements = {name: await page.locator(name).count() for name in ("script", "img", "h1", "style")}

    assert names == HOSTILE
    assert title == "6 of 6 targets need attention · engagement-exporter"
    assert elements == {"script": 0, "img": 0, "h1": 1, "style": 1}


async def test_text_that_turns_direction_turns_nothing_else(chromium: Browser) -> None:
    """What follows stays to the right of it: the address after the platform, then how much of the quota is left."""
    shown = Shown(
        [pending("crowd", "stats", f"{RIGHT_TO_LEFT_OVERRIDE}abc")], limits={"crowd": {"": Quota(60, 12, 0.0)}}
    )
    async with opened(chromium, shown) as page:
        left, right = page.locator(".card header p"), page.locator(".card header p time")
        address = page.get_by_text("https://crowd.example.org")
        boxes = [await part.bounding_box() for part in (left, address, right)]

    starts = [box["x"] for box in boxes if box]
    assert len(starts) == 3
    assert starts == sorted(starts)


@pytest.mark.parametrize("scene", ["organisation", "hostile", "many"])
async def test_no_screen_is_so_narrow_that_the_page_scrolls_sideways(chromium: Browser, scene: str) -> None:
    now = time.time()
    hostile = [failed(pending(text, text, text), now, UnreachableError(text)) for text in HOSTILE]
    shown = {
        "organisation": organisation(now),
        "hostile": Shown(hostile, last_reload=Reload(now, "\n".join(HOSTILE))),
        "many": Shown([pending(f"{number}-" * 25, "users") for number in range(40)]),
    }[scene]
    needed = {}
    async with opened(chromium, shown) as page:
        for width in (320, PHONE, 740, WIDE):
            await page.set_viewport_size({"width": width, "height": 800})
            needed[width] = await page.evaluate("document.documentElement.scrollWidth")

    assert {width: pixels for width, pixels in needed.items() if pixels > width} == {}


async def test_on_a_phone_every_number_has_its_column_beside_it(chromium: Browser) -> None:
    async with opened(chromium, organisation(time.time()), "/?refresh=off&target=crowd", PHONE) as page:
        labels = (
            await page.locator("tbody tr >> nth=0")
            .locator("td[data-label]")
            .evaluate_all("cells => cells.map(cell => getComputedStyle(cell, '::before').content)")
        )

    assert labels == ['"Values"', '"Last run"', '"Next run"', '"Samples"']


@pytest.mark.parametrize("javascript", [True, False])
async def test_light_and_dark_follow_the_reader_and_stay_readable(chromium: Browser, javascript: bool) -> None:
    """That the page has colours at all shows that its style is the one that the policy allows."""
    shown = organisation(time.time())
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for scheme in ("light", "dark"):
        async with opened(chromium, shown, scheme=scheme, javascript=javascript) as page:  # type: ignore[arg-type]
            found[scheme] = {
                selector: await colours(page, selector)
                for selector in ("body", ".headline", ".badge.well", ".badge.waiting", ".badge.attention")
            }

    assert luminance(found["light"]["body"][1]) > 0.8
    assert luminance(found["dark"]["body"][1]) < 0.05
    for pairs in found.values():
        assert {selector: contrast(pair) for selector, pair in pairs.items() if contrast(pair) < 4.5} == {}


async def test_the_keyboard_reaches_the_links_and_shows_where_it_is(chromium: Browser) -> None:
    reached = []
    async with opened(chromium, Shown([pending("crowd", "stats")])) as page:
        for _ in range(7):
            await page.keyboard.press("Tab")
            focused = (
                "(link => [link.getAttribute('href'), getComputedStyle(link).outlineStyle])(document.activeElement)"
            )
            reached.append(await page.evaluate(focused))

    links = ["metrics", "api/status", "config", "sd", "-/healthy", "-/ready", "metrics?target=crowd"]
    assert reached == [[link, "solid"] for link in links]


async def complaints(page: Page) -> dict[str, Any]:
    """What axe finds, by rule; of contrast also what it could not make out, but for our symbols."""
    response = (await Axe().run(page)).response
    found = {rule["id"]: [node["html"] for node in rule["nodes"]] for rule in response["violations"]}
    [unsure] = [rule["nodes"] for rule in response["incomplete"] if rule["id"] == "color-contrast"] or [[]]
    nodes = [node["html"] for node in unsure if node["any"][0]["data"]["messageKey"] not in SYMBOLS]
    return found | ({"unsure of contrast": nodes} if nodes else {})


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("scene", ["organisation", "many"])
async def test_axe_finds_nothing_that_keeps_anybody_out(
    chromium: Browser, scheme: Literal["light", "dark"], scene: str
) -> None:
    now = time.time()
    shown = replace(organisation(now), last_reload=Reload(now - 90, "config.yaml:3:1: targets: is missing; add it"))
    if scene == "many":
        shown = Shown([*shown.snapshot, *(good(pending(f"t{number}", "users"), now) for number in range(30))])
    async with opened(chromium, shown, scheme=scheme) as page:
        assert await complaints(page) == {}
        await page.set_viewport_size({"width": PHONE, "height": 800})
        assert await complaints(page) == {}


async def test_loading_anew_is_the_only_thing_that_axe_minds_and_a_link_stops_it(chromium: Browser) -> None:
    async with opened(chromium, organisation(time.time()), "/") as page:
        assert list(await complaints(page)) == ["meta-refresh"]
        await page.get_by_role("link", name="Stop that").click()
        assert await complaints(page) == {}
        await page.get_by_role("link", name="Refresh every 15 s").click()
        assert await page.locator("meta[http-equiv=refresh]").count() == 1
