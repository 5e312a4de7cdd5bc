"""Recording rules, alerts and their tests; the examples for Prometheus and Alertmanager."""
