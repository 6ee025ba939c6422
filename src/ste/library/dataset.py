"""Labelled rows in memory: what `ste.load` returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from ste.config import DataSettings
from ste.data.panel import Panel
from ste.library.data_files import DataFiles
from ste.library.notebook_html import html_list, html_table
from ste.schema import SPLITS, FeatureSet


@dataclass(frozen=True)
class Summary:
    """What was read and built.

    Attributes:
        notes: what was understood, set aside, filled and assumed, a sentence each.
        splits: a row for each split: rows, purged rows, first and last date, tickers, and rows of each class.
    """

    notes: tuple[str, ...]
    splits: pd.DataFrame

    @property
    def warnings(self) -> tuple[str, ...]:
        """The notes on what looks wrong."""
        return tuple(note for note in self.notes if note.startswith("warning"))

    def __str__(self) -> str:
        return "\n".join([self.splits.to_string(), *self.notes])

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        return html_table(self.splits) + html_list(self.notes)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled rows of a market, ready for `ste.train`.

    Attributes:
        settings: of the data, validated.
        panel: the rows with their splits.
        config: the settings as plain data, `features` and `data` as `python -m ste.train` takes them.
        call: the Python expression that loads it, as far as it can be written.
        files: that hold what was given as tables.
    """

    settings: DataSettings
    panel: Panel
    config: Mapping[str, Any]
    call: str
    files: DataFiles = field(repr=False)

    def __len__(self) -> int:
        return len(self.panel.store)

    @property
    def features(self) -> FeatureSet:
        """Definitions of the features."""
        return self.settings.feature_set

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in label order."""
        return self.panel.classes

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The labelled rows, sorted by ticker and date, a copy: keys, features, targets and `split`.

        `split` is `train`, `validation` or `test`, or `history` for rows that are neither trained on nor scored: those
        of the purge, and others that later windows read only.

        Raises:
            TypeError: the table is larger than memory (`format="parts"`).
        """
        names = np.array([*SPLITS, "history"], dtype=object)
        return self.panel.store.frame.assign(split=names[self.panel.row_split])

    @cached_property
    def summary(self) -> Summary:
        """What was read and built."""
        card = self.panel.prepared.card
        splits = pd.DataFrame(
            {
                split: {
                    "rows": entry["rows"],
                    "purged": entry["purged"],
                    "first": entry["first"],
                    "last": entry["last"],
                    "tickers": entry["tickers"],
                    **entry["classes"],
                }
                for split, entry in card["files"].items()
            }
        ).T
        return Summary(tuple(self.files.name_tables(note) for note in card["notes"]), splits)

    def __repr__(self) -> str:
        counts = ", ".join(f"{split} {rows:,}" for split, rows in self.summary.splits["rows"].items())
        return (
            f"Dataset({len(self):,} {self.settings.frequency} rows: {counts}; "
            f"{len(self.features.names)} features of {self.features.name})"
        )

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        return f"<p><b>{escape(repr(self))}</b></p>{self.summary._repr_html_()}"
