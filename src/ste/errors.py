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


class Pruned(Exception):  # noqa: N818 - no error: the search's own decision
    """A trial of a search that was stopped because others did better by then.

    Args:
        epoch: the last it trained, from 0.
        run_id: its tracked run, or None.
    """

    def __init__(self, epoch: int, run_id: str | None = None) -> None:
        super().__init__(epoch, run_id)
        self.epoch = epoch
        self.run_id = run_id

    def __str__(self) -> str:
        return f"stopped after epoch {self.epoch}: others had done better by then"
