"""Prometheus exporter for the statistics APIs of learning, crowdsourcing and engineering platforms."""

__version__ = "0.1.0"
