"""The status page as text: what it says, in which order, and that every value is only text."""

import base64
import hashlib
import re
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from exporter.api.client import Quota
from exporter.errors import UnauthorizedError, UnreachableError
from exporter.web.status import Reload
from exporter.web.status_page import CARDS
from tests.shown import Shown, answer, failed, good, organisation, pending

HOSTILE = "<script>alert('&')</script>"
ESCAPED = "&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;"
NEW = pending("crowd", "stats")


def text_of(html: str) -> str:
    """The page's text without its elements, runs of space as one."""
    body = html.split("<body>")[1]
    return " ".join(re.sub(r"<[^>]*>", " ", body).split())


async def shown_text(shown: Shown, query: str = "") -> str:
    return text_of((await answer(f"/{query}", shown)).text)


async def test_the_page_is_html_that_loads_itself_anew() -> None:
    response = await answer("/", Shown([NEW]))

    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert '<meta http-equiv="refresh" content="15">' in response.text
    assert '<meta http-equiv="refresh"' not in (await answer("/?refresh=off", Shown([NEW]))).text


async def test_before_the_first_run() -> None:
    text = await shown_text(Shown([NEW]))

    assert "1 of 1 target waits for its first runs" in text
    assert "crowd … Waiting" in text
    assert "stats … Waiting none yet every 15m none yet not scheduled 0" in text


async def test_after_a_good_run() -> None:
    now = time.time()
    entry = good(NEW, now - 200, samples=1_234, seconds=0.25)

    text = await shown_text(Shown([entry], next_run=datetime.now(UTC) + timedelta(minutes=10, seconds=30)))

    assert "The target is well" in text
    assert "stats ✓ Up to date 3 min ago every 15m 0.2 intervals 3 min ago took 250 ms in 10 min 1,234" in text


async def test_a_run_that_is_due_is_not_in_the_past() -> None:
    assert "due now" in await shown_text(Shown([NEW], next_run=datetime.now(UTC) - timedelta(seconds=3)))


async def test_after_a_failed_run_it_says_why_and_what_to_do() -> None:
    now = time.time()
    entry = failed(good(NEW, now - 3_660), now - 5, UnreachableError("GET /stats/: no reply (ConnectError)"))

    text = await shown_text(Shown([entry]))

    assert "1 of 1 target needs attention" in text
    assert "! Unreachable unreachable 61 min ago late: over 2 intervals of 15m" in text
    assert "No reply came from the platform. The last complete values are still served. Error:" in text
    assert "Error: GET /stats/: no reply (ConnectError) What to do: check url, proxy and ca_file" in text


async def test_skipped_runs_series_left_out_and_unreadable_values_are_counted() -> None:
    entry = replace(
        good(NEW, time.time(), dropped=1_204, unreadable=2), skipped={"overlap": 1, "missed": 2, "paused": 0}
    )

    text = await shown_text(Shown([entry]))

    assert "3 skipped so far" in text
    assert "1,204 left out" in text
    assert "2 unreadable" in text


async def test_quota_and_pause() -> None:
    now = time.time()
    shown = Shown(
        [NEW, pending("academy", "users"), pending("bridges", "users")],
        limits={
            "crowd": {"": Quota(10_000, 88, now - 150), "/api/project": Quota(300, 2, now)},
            "academy": {"": Quota(None, 7, now)},
            "bridges": {"": Quota(60, None, now)},
        },
        paused={"crowd": {"": now + 750, "/api/project": now + 630}},
    )

    text = await shown_text(shown)

    assert "88 of 10,000 requests left in the window (said 2 min ago )" in text
    assert "7 requests left in the window" in text
    assert "limit of 60 requests in a window" in text
    assert "2 of 300 requests left in the window of /api/project (said" in text
    assert re.search(r"no requests to /api/project until \d\d:\d\d:\d\d UTC , 10 min from now", text)
    assert re.search(r"Paused: the platform asked for no requests until \d\d:\d\d:\d\d UTC , 12 min from now", text)


async def test_a_failed_reload_is_told_until_one_succeeds() -> None:
    bad, fine = (Reload(time.time() - 200, error) for error in (f"config.yaml:3:1: {HOSTILE}", ""))

    text = await shown_text(Shown([NEW], last_reload=bad))

    assert "The last reload failed 3 min ago . The old configuration stays in force" in text
    assert f"config.yaml:3:1: {ESCAPED}" in text
    assert "reload failed" not in await shown_text(Shown([NEW], last_reload=fine))


async def test_a_target_without_collectors_says_so_and_has_no_metrics_to_lead_to() -> None:
    html = (await answer("/", Shown([NEW], others=["empty"]))).text

    assert "No collector of this target is turned on." in html
    assert "api/status?target=empty" in html
    assert "metrics?target=empty" not in html


async def test_problems_come_first() -> None:
    html = (await answer("/", organisation(time.time()))).text

    names = re.findall(r"<h2 [^>]*><bdi>([^<]*)<", html)
    assert names == ["academy", "learning", "crowd", "library", "workshop", "bridges"]


def many(count: int, bad: int) -> Shown:
    """So many targets, the last ones with a refused credential."""
    now = time.time()
    entries = [good(pending(f"t{number}", "users"), now, samples=2) for number in range(count)]
    entries[count - bad :] = [failed(entry, now, UnauthorizedError("401")) for entry in entries[count - bad :]]
    return Shown(entries)


async def test_many_targets_are_lines_but_for_those_with_problems() -> None:
    html = (await answer("/", many(1_000, 2))).text

    assert re.findall(r"<h2 [^>]*><bdi>([^<]*)<", html) == ["t998", "t999"]
    assert html.count('<tr><th scope="row"><a href="?target=') == 998
    assert "2 of 1000 targets need attention" in html


async def test_when_everything_fails_the_page_stays_short() -> None:
    html = (await answer("/", many(1_000, 1_000))).text

    assert html.count('<section class="card trouble"') == CARDS
    assert html.count('<tr><th scope="row"><a href="?target=') == 1_000 - CARDS


async def test_a_few_targets_are_all_shown_whole() -> None:
    assert (await answer("/", many(CARDS, 0))).text.count('<section class="card"') == CARDS


async def test_chosen_targets_are_shown_whole_with_a_way_back() -> None:
    html = (await answer("/?target=t7&target=t9", many(1_000, 2))).text

    assert re.findall(r"<h2 [^>]*><bdi>([^<]*)<", html) == ["t7", "t9"]
    assert '<a href="./">Show all targets</a>' in html
    assert 'href="?target=t7&amp;target=t9&amp;refresh=off"' in html


async def test_links_lead_to_the_other_endpoints_wherever_the_page_is() -> None:
    html = (await answer("/", Shown([NEW]))).text

    links = re.findall(r'href="([^"]*)"', html)
    assert {"metrics", "api/status", "config", "sd", "-/healthy", "-/ready", "metrics?target=crowd"} <= set(links)
    assert all(not link.startswith(("/", "http")) for link in links)


async def test_hostile_text_is_only_text() -> None:
    """Errors may quote what a platform calls its things."""
    entry = failed(pending(HOSTILE, HOSTILE, HOSTILE), time.time(), UnreachableError(HOSTILE, remedy=HOSTILE))

    html = (await answer("/", Shown([entry]))).text

    assert "<script" not in html
    assert html.count(f"<bdi>{ESCAPED}</bdi>") == 5  # target, platform, collector, error, remedy


async def test_the_only_style_is_the_one_that_the_policy_names() -> None:
    response = await answer("/", organisation(time.time()))
    [style] = re.findall(r"<style>(.*?)</style>", response.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()

    assert f"style-src 'sha256-{digest}'" in response.headers["content-security-policy"]
    assert " style=" not in response.text
    assert "<script" not in response.text
    assert not re.search(r" on[a-z]+=", response.text)
