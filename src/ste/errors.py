"""Mistakes that a person can make, each told in one message.

Every message says where the fault is, what was found, what was expected and what to type next.
The entry points print it and leave with exit code 2; `STE_DEBUG=1` shows the traceback as well.
"""


class SteError(Exception):
    """Base of every mistake a person can mend."""


class ConfigError(SteError):
    """A setting or override that cannot be used."""


class DataError(SteError):
    """A file, row or column that breaks the contract of the weekly table or of a market file."""


class RunError(SteError):
    """A tracked run that is missing, unfinished or not what was asked for."""
