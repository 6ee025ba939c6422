"""Settings of the user's own columns: files whose values a feature names as `$NAME.column`."""

import keyword
import re
from dataclasses import dataclass, field
from typing import Annotated

from annotated_types import Ge, Le, Predicate

from ste.config.read_options import NAMED
from ste.config.validation import Expect, FileName, Settings

EXTRA = "extra"
"""Setting of the files, and start of each file's name in messages and summaries."""

_RESERVED = frozenset({*NAMED, "raw_close", "vwap", "bars", "news", "macro", "policy"})


def is_extra_name(name: str) -> bool:
    """Whether `$NAME.column` is unambiguous: an identifier that names no field of a bar and no other file."""
    known = name.lower() in _RESERVED or keyword.iskeyword(name)
    return re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) is not None and not known


def _are_names(files: dict[str, str]) -> bool:
    return all(map(is_extra_name, files))


_NAMES = "names of letters, digits and _ that are no field of a bar, each with its file"
ExtraPaths = Annotated[
    dict[str, FileName], Predicate(_are_names), Expect(f"{_NAMES} (extra.NAME=FILE)", "{mine: file.csv}")
]
_LAGS = "whole calendar days from 0 to 3650 for each file (extra_lag.NAME=DAYS)"
Lags = Annotated[dict[str, Annotated[int, Ge(0), Le(3650)]], Expect(_LAGS, "{mine: 1}")]


@dataclass(kw_only=True)
class ExtraSettings(Settings):
    """Files with columns of the user's own.

    Attributes:
        extra: path of each file by its name, `data.extra.mine=mine.csv`.
        extra_lag: calendar days after its `date` from which a row without `known_at` is known, by name of the file; 0
            is at that day's close.
    """

    extra: ExtraPaths = field(default_factory=dict)
    extra_lag: Lags = field(default_factory=dict)

    def check(self) -> None:
        """Check that each lag belongs to a file."""
        super().check()
        known = ", ".join(self.extra) or "no file is given"
        alone = sorted(set(self.extra_lag) - set(self.extra))
        remedy = ", ".join(f"{name}: {lag}" for name, lag in self.extra_lag.items() if name in self.extra)
        self.require(not alone, "extra_lag", f"names of {self._prefix}{EXTRA} ({known})", example=f"{{{remedy}}}")

    def extra_files(self) -> dict[str, str]:
        """Return the path of each file by its setting without the section, `extra.NAME`."""
        return {f"{EXTRA}.{name}": path for name, path in self.extra.items()}

    @property
    def _prefix(self) -> str:
        return f"{self.section}." if self.section else ""
