"""Simulation studies behind the numbers in docs/; each is a command: `python -m studies.NAME --help`."""
