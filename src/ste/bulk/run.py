"""The loop: read a chunk, check it, carry history, ask the model, write."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from ste.bulk.checking import Checker, Rows
from ste.bulk.history import LATE, TWICE, Ends, History
from ste.bulk.reading import Table
from ste.bulk.rejects import Reject, RejectFile
from ste.bulk.writing import Layout, Writer, open_writer
from ste.data.calendar import periods
from ste.data.files import whole_file
from ste.data.rules import Rule, rules
from ste.deploy.card import ModelCard
from ste.deploy.inputs import missing_columns
from ste.deploy.model import ServedModel
from ste.errors import DataError
from ste.schema import FEATURE_SETS, KEYS, PERIOD, Column

CHUNK = 65_536
"""Rows that are read at once."""
BATCH = 1024
"""Windows that the model is asked at once."""
_ORDERED = (("stock_high", "stock_low"), ("price_high", "price_low"))

Advance = Callable[[int], None]


@dataclass
class Tally:
    """What became of the rows.

    Attributes:
        predicted: rows with a prediction in the output.
        rejected: rows in the reject file.
        short: rows whose ticker had too few consecutive periods by then.
        passed: rows that were not asked for, being older than the newest period.
    """

    predicted: int = 0
    rejected: int = 0
    short: int = 0
    passed: int = 0

    @property
    def rows(self) -> int:
        """All that were read."""
        return self.predicted + self.rejected + self.short + self.passed


def checker_of(table: Table, card: ModelCard) -> Checker:
    """The contract of a model's tables.

    Raises:
        DataError: a column that the model reads is not there.
    """
    missing = [name for name in (*KEYS, *card.features) if name not in table.names]
    if missing:
        raise DataError(f"{table.where}: {missing_columns(missing, card)}")
    known = {column.name: column for kind in FEATURE_SETS.values() for column in kind.columns}
    asked: dict[str, tuple[Rule, ...]] = {name: rules(known.get(name, Column(name, ""))) for name in card.features}
    ordered = next((pair for pair in _ORDERED if set(pair) <= set(asked)), None)
    return Checker(asked, ordered, table.where)


def predict_table(
    model: ServedModel,
    table: Table,
    output: Path,
    rejects: Path,
    advance: Advance = lambda done: None,
    only: int | None = None,
    before: list[Reject] | None = None,
) -> Tally:
    """Predict every row of a table that holds and has the history, in its own order.

    Both files appear whole at the end, or not at all.

    Args:
        model: asked.
        table: read in chunks.
        output: predictions, by its ending.
        rejects: CSV of the rows left out.
        advance: told how much of `table.size` is done.
        only: number of the period to predict; None is all.
        before: rejects of what the table was made of.

    Returns:
        What became of the rows; `rejected` counts `before` too.

    Raises:
        DataError: the file as a whole cannot be used.
    """
    card = model.card
    check = checker_of(table, card)
    history = History(card)
    layout = Layout(card.classes, model.version)
    tally = Tally()
    with (
        whole_file(output) as partial,
        whole_file(rejects) as partial_rejects,
        partial_rejects.open("w", newline="", encoding="utf-8") as text,
        open_writer(partial, output, layout) as writer,
    ):
        refused = RejectFile(text, table.several)
        refused.write(before or [])
        for chunk, done in table.chunks(check.columns, CHUNK):
            rows, faults = check(chunk)
            ends = history.take(rows)
            for bad, why in ((ends.late, LATE), (ends.twice, TWICE)):
                reason = why.format(PERIOD[card.frequency])
                faults += [rows.reject(int(row), "date", str(rows.date[row]), reason) for row in bad]
            faults += _predict(model, rows, ends, layout, writer, tally, only)
            refused.write(fault._replace(file=chunk.file) for fault in faults)
            advance(done)
        tally.rejected = refused.count
    return tally


def _predict(
    model: ServedModel, rows: Rows, ends: Ends, layout: Layout, writer: Writer, tally: Tally, only: int | None
) -> list[Reject]:
    """Write the predictions of a chunk, count them, and return the rows that the model has no answer for."""
    short, wanted = ends.short, np.ones(len(ends.rows), dtype=bool)
    if only is not None:
        number = periods(rows.date, model.card.frequency)
        wanted = number[ends.rows] == only
        tally.passed += int((~wanted).sum() + (number[short] != only).sum())
        short = short[number[short] == only]
    tally.short += len(short)
    asked = np.flatnonzero(wanted)
    if not len(asked):
        return []
    shape = (-1, *model.card.shape)
    parts = [
        model.probabilities(ends.features(asked[start : start + BATCH]).reshape(shape))
        for start in range(0, len(asked), BATCH)
    ]
    chances, at = np.concatenate(parts), ends.rows[asked]
    finite = np.isfinite(chances).all(axis=1)
    tally.predicted += int(finite.sum())
    writer.write(layout.table(rows.date[at[finite]], rows.ticker.take(pa.array(at[finite])), chances[finite]))
    reason = "expected features that the model has a finite answer for; a value of the window is far out of range"
    return [rows.reject(int(row), "", "", reason) for row in at[~finite]]
