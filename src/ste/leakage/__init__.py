"""Standing checks for leaks: what a table's columns, splits and sources must not know of the future."""
