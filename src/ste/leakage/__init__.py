"""Checks for data leakage: columns, splits and sources that contain information about the future."""
