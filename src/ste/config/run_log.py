"""The logger of what a command did: into its log file, and not to the console, which shows the same as tables."""

import logging

run_log = logging.getLogger("ste.run_log")


class ConsoleFilter(logging.Filter):
    """Leave out the records of `run_log`."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the console shows a record."""
        return record.name != run_log.name
