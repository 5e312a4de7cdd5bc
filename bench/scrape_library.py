"""The same series in prometheus-client's own gauges and server, which render them at every scrape."""

import json
import sys
import threading

from prometheus_client import CollectorRegistry, Gauge, start_http_server

from bench.series import FAMILIES, samples_of, series_per_target, target_names


def registry(series: int) -> CollectorRegistry:
    """Make a gauge per family and a child per series."""
    made = CollectorRegistry()
    gauges = {family: Gauge(family.name, family.help, ("target", *family.labels), registry=made) for family in FAMILIES}
    for target in target_names(series):
        for sample in samples_of(target, series_per_target(series)):
            gauges[sample.family].labels(target, *sample.labels).set(sample.value)
    return made


if __name__ == "__main__":
    server, _ = start_http_server(0, "127.0.0.1", registry(int(sys.argv[1])))
    print(json.dumps({"port": server.server_port}), flush=True)
    threading.Event().wait()
