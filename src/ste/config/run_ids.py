"""Run IDs on the command line."""

import re

_OF_RUNS = re.compile(r"(run|runs|resume|model)=")
_LIKE_A_NUMBER = re.compile(r"(?<=[=\[,])(?:\d{6,}|\d+e\d{1,30})(?=[\],]|$)")


def quote_run_ids(override: str) -> str:
    """Quote the run IDs in an override that look like numbers, so that `run=169e8539` is not read as infinity.

    Args:
        override: as typed, such as `run=169e8539` or `runs=[169e8539,01234567]`.
    """
    return _LIKE_A_NUMBER.sub(r"'\g<0>'", override) if _OF_RUNS.match(override) else override
