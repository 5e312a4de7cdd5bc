"""The whole exporter against whole platforms over real HTTP, and the real Prometheus."""
