"""The exporter's own HTTP endpoints."""
