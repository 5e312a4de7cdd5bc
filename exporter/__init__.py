"""Prometheus exporter for the statistics APIs of learning, crowdsourcing and engineering platforms."""

import os

for _name in ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"):
    # prometheus-client looks when it is imported, and would keep every value in files for several processes
    os.environ.pop(_name, None)

__version__ = "0.1.0"
