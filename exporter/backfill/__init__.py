"""The past of the configured targets, written for Prometheus: what to read, how to write it, how to go on with it."""
