"""Combine several tracked runs into one forecast."""
