"""Bulk prediction from files of any size: read in chunks, check each row, carry each ticker's last periods."""
