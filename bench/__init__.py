"""Benchmarks: each module is a command that measures and prints the demand beside the figure."""
