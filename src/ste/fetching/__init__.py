"""Fetch files from data services: one file per service, registered as a source of `python -m ste.fetch`."""
