"""Measurements of speed and memory; each is a command: `python -m ste.bench.NAME`."""
