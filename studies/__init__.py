"""Studies that show what the project claims of itself; each is a command: `python -m studies.NAME`."""
