"""Takes the picture of the status page that README.md shows: an organisation in which a few things have gone wrong."""

import asyncio
import shutil
import time
from pathlib import Path

from playwright.async_api import async_playwright

from tests.e2e.test_status_page import served
from tests.shown import organisation

PICTURE = Path(__file__).parent / "images" / "status-page.png"


async def take() -> None:
    """Open the page in Chromium and keep what it shows."""
    async with served(organisation(time.time())) as url, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), chromium_sandbox=False)
        page = await browser.new_page(viewport={"width": 1100, "height": 1020}, color_scheme="light")
        await page.goto(url)
        await page.screenshot(path=PICTURE)
        await browser.close()


if __name__ == "__main__":
    asyncio.run(take())
