"""Search path of STE's configuration files."""
