"""Build labelled tables from daily sources, and cache them with their data card."""
