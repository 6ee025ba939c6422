"""Benchmarks of speed and memory: `python -m benchmarks`, or `python -m benchmarks.NAME` for one of them."""
