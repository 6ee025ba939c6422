"""Measurements of speed and memory; each is a command: `python -m benchmarks.NAME`."""
