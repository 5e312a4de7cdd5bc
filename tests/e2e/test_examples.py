"""The two ways to scrape, with real Prometheus servers: as a whole, and each target on its own, over two servers."""

import re
from pathlib import Path
from typing import Any

import httpx
import yaml

from exporter.demo.configuration import configuration
from exporter.demo.server import Demo
from prometheus.demo_stack import FOLDER
from tests.alerting import prometheus
from tests.command import PATIENCE_SECONDS, running, until, until_ready

TARGETS = 5
OURS = '{__name__=~"(konstantly|viktor|pybossa|learning360|engagement)_.+"}'
COUNTERS = re.compile(r"engagement_(api|scheduler)_")


def example(name: str, address: str, shard: str = "") -> str:
    """The example for an exporter at `address`, hasty and without its rules; `shard` is the half that it takes."""
    config: Any = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8").replace("exporter:10360", address))
    config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s"}
    del config["rule_files"], config["alerting"]
    for scrape in config["scrape_configs"]:
        for discovery in scrape.get("http_sd_configs", []):
            discovery["refresh_interval"] = "1s"
        for rule in scrape.get("relabel_configs", []):
            if rule.get("action") == "keep":
                rule["regex"] = shard
    return yaml.safe_dump(config)


async def ask(address: str, query: str) -> list[dict[str, str]]:
    """The label sets that a query gives."""
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
        reply = await http.get(f"http://{address}/api/v1/query", params={"query": query})
    return [vector["metric"] for vector in reply.json()["data"]["result"]]


async def held(address: str) -> set[tuple[tuple[str, str], ...]]:
    """All series of the exporter, but for the counters that grow new ones with every request."""
    return {
        tuple(sorted(labels.items())) for labels in await ask(address, OURS) if not COUNTERS.match(labels["__name__"])
    }


async def test_both_ways_to_scrape_give_the_same_series(site: Demo, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(re.sub(r"interval: \d+s", "interval: 2h", configuration(site)), encoding="utf-8")
    folders = [tmp_path / name for name in ("whole", "first", "second")]
    for folder in folders:
        folder.mkdir()
    async with running("--config.file", file) as exporter:
        await until_ready(exporter.url)
        address = httpx.URL(exporter.url).netloc.decode()
        async with (
            prometheus(folders[0], example("prometheus.yml", address)) as whole,
            prometheus(folders[1], example("prometheus-sd.yml", address, "0")) as first,
            prometheus(folders[2], example("prometheus-sd.yml", address, "1")) as second,
        ):

            async def all_are_scraped() -> bool:
                ups = [await ask(server, "up == 1") for server in (whole, first, second)]
                return sum(map(len, ups)) == 1 + TARGETS + 2  # the process is scraped by both

            await until(all_are_scraped)
            in_whole, in_first, in_second = [await held(server) for server in (whole, first, second)]
            ups = [*await ask(first, "up"), *await ask(second, "up")]
            down = [await ask(server, "max without (target) (up)") for server in (whole, first, second)]

    assert in_first | in_second == in_whole
    assert len(in_whole) > 1000
    shared = {dict(labels).get("target", "") for labels in in_first & in_second}
    assert shared == {""}
    assert in_first - in_second
    assert in_second - in_first
    assert sorted(up["target"] for up in ups if "target" in up) == [
        "academy", "bridges", "crowd", "learning", "learning-v1",
    ]  # fmt: skip
    assert down == [[{"job": "engagement", "instance": address}]] * 3
