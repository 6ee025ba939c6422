"""Synthetic markets with a known return model, and resampled markets."""
