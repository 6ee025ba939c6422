"""Feature importance and attribution."""
