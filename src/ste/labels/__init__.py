"""Targets: what the periods after a close brought."""
