"""Sweepers and a launcher for `python -m ste.train -m`."""
