"""Features computed from daily sources, and their normalization."""
