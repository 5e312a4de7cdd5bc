"""`make demo-stack`: the demo exporter, Prometheus with the rules, and Alertmanager, on this machine until Ctrl-C.

The configurations are the examples beside this file, with addresses of this machine, short intervals, and receivers
that send nothing: alerts are seen on the pages of Prometheus and Alertmanager. `make demo-stack HISTORY=30d` first
gives Prometheus the last thirty days of the demo organisation.
"""

import argparse
import asyncio
import signal
import sys
import tempfile
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import yaml

from exporter.settings import duration_text, parse_duration
from prometheus.demo_history import COMMAND, write_history

FOLDER = Path(__file__).resolve().parent
INTERVAL_SECONDS = 5
JOB = "engagement"
"""The name in prometheus.yml, which the rules ask for."""
STORAGE = "prometheus"


def prometheus_config(
    exporter: str, alertmanager: str, rules: Path = FOLDER / "rules", interval_seconds: int = INTERVAL_SECONDS
) -> str:
    """Return the example for an exporter and an Alertmanager at these addresses (host:port)."""
    config: Any = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
    every = f"{interval_seconds}s"
    config["global"] = {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every}
    config["rule_files"] = [str(rules / "*.yml")]
    config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [alertmanager]
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [exporter]
    return yaml.safe_dump(config)


def alertmanager_config(receivers: Mapping[str, Mapping[str, Any]] | None = None, wait: str | None = None) -> str:
    """Return the example with other ways to be told, by name of the receiver; those not named send nothing.

    `wait` replaces the times for which groups wait.
    """
    config: Any = yaml.safe_load((FOLDER / "alertmanager.yml").read_text(encoding="utf-8"))
    config["templates"] = [str(FOLDER / "templates" / "*.tmpl")]
    for receiver in config["receivers"]:
        name = receiver["name"]
        receiver.clear()
        receiver.update({"name": name, **(receivers or {}).get(name, {})})
    routes = [config["route"]]
    while wait and routes:
        route = routes.pop()
        route.update(group_wait=wait, group_interval=wait)
        routes += route.get("routes", [])
    return yaml.safe_dump(config)


def commands(folder: Path, exporter: str, prometheus: str, alertmanager: str) -> dict[str, Sequence[str]]:
    """Write the configurations into `folder` and return the command of each program, by the address it listens at."""
    (folder / "prometheus.yml").write_text(prometheus_config(exporter, alertmanager), encoding="utf-8")
    (folder / "alertmanager.yml").write_text(alertmanager_config(), encoding="utf-8")
    return {
        exporter: (str(COMMAND), "demo", f"--web.listen-address={exporter}", "--log.level=warn"),
        prometheus: (
            "prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / STORAGE}",
            "--storage.tsdb.retention.time=3y",
            f"--web.listen-address={prometheus}",
            "--log.level=warn",
        ),
        alertmanager: (
            "prometheus-alertmanager",
            f"--config.file={folder / 'alertmanager.yml'}",
            f"--storage.path={folder / 'alertmanager'}",
            f"--web.listen-address={alertmanager}",
            "--cluster.listen-address=",
            "--log.level=warn",
        ),
    }


async def run(exporter: str, prometheus: str, alertmanager: str, history: timedelta | None) -> int:
    """Run all three until a signal comes (returns 0); 1 if one is missing or ends by itself.

    With `history` Prometheus begins with the past of so long.
    """
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    processes: list[Process] = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        try:
            if history and not await _is_history_written(folder, history, exporter, stop):
                return 0
            for command in commands(folder, exporter, prometheus, alertmanager).values():
                processes.append(await asyncio.create_subprocess_exec(*command))
            return await _watch(processes, stop, (exporter, prometheus, alertmanager))
        except FileNotFoundError as error:
            print(f"{error.filename} is not on the PATH; `make tools` installs it", file=sys.stderr)
            return 1
        except RuntimeError as error:
            print(error, file=sys.stderr)
            return 1
        finally:
            for process in processes:
                if process.returncode is None:
                    process.terminate()
            await asyncio.gather(*(process.wait() for process in processes))


async def _is_history_written(folder: Path, history: timedelta, exporter: str, stop: asyncio.Event) -> bool:
    """Write it, unless a signal comes first. Raises what `write_history` does."""
    print(f"writing the last {duration_text(history)} of the demo organisation", flush=True)
    labels = {"job": JOB, "instance": exporter}
    written = asyncio.create_task(write_history(folder, history, labels, folder / STORAGE))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({written, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if stop.is_set():
        written.cancel()
        await asyncio.gather(written, return_exceptions=True)
        return False
    stopped.cancel()
    await written
    return True


async def _watch(processes: Sequence[Process], stop: asyncio.Event, addresses: Sequence[str]) -> int:
    ends = [asyncio.create_task(process.wait()) for process in processes]
    stopped = asyncio.create_task(stop.wait())
    announced = asyncio.create_task(_announce(*addresses))
    await asyncio.wait({stopped, *ends}, return_when=asyncio.FIRST_COMPLETED)
    announced.cancel()
    if stop.is_set():
        return 0
    for address, end in zip(addresses, ends, strict=True):
        if end.done():
            print(
                f"what listened at {address} has ended with code {end.result()}; stopping the others", file=sys.stderr
            )
    return 1


async def _announce(exporter: str, prometheus: str, alertmanager: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        for address in (exporter, prometheus, alertmanager):
            while not await _is_ready(http, address):  # noqa: ASYNC110 - what is waited for happens in another process
                await asyncio.sleep(0.1)
    print(f"prometheus   http://{prometheus}/alerts  (rules: http://{prometheus}/rules)")
    print(f"alertmanager http://{alertmanager}/", flush=True)


async def _is_ready(http: httpx.AsyncClient, address: str) -> bool:
    try:
        return (await http.get(f"http://{address}/-/ready")).status_code == 200
    except httpx.TransportError:
        return False


def _history(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def main() -> None:
    """Read the flags and run."""
    parser = argparse.ArgumentParser(description="Demo exporter, Prometheus and Alertmanager on this machine.")
    parser.add_argument("--exporter-port", type=int, default=10360)
    parser.add_argument("--prometheus-port", type=int, default=9090)
    parser.add_argument("--alertmanager-port", type=int, default=9093)
    parser.add_argument(
        "--history", type=_history, help="how much of the past to begin with, such as 30d; takes 130 MB a day meanwhile"
    )
    flags = parser.parse_args()
    ports = (flags.exporter_port, flags.prometheus_port, flags.alertmanager_port)
    exporter, prometheus, alertmanager = (f"127.0.0.1:{port}" for port in ports)
    sys.exit(asyncio.run(run(exporter, prometheus, alertmanager, flags.history)))


if __name__ == "__main__":
    main()
