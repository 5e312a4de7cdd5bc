"""The Grafana dashboards as code: `make dashboards` writes `grafana/dashboards/*.json` from the modules here."""
