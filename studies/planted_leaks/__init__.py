"""Leaks planted in tables and markets, and what the audit names of them (docs/audit.md)."""
