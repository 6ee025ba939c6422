"""A training run, from its settings to a tracked result."""
