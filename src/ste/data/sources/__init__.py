"""Readers of market files and ready tables."""
