"""Self-contained HTML pages: functions from values to text."""
