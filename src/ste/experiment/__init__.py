"""A training run from settings to a tracked result."""
