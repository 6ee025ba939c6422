"""What a share of a table came to, on disk until all shares are there; and all of them as one."""

import heapq
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ste.inference.batch.prediction_loop import Answer
from ste.inference.batch.rejects import Reject, RejectFile
from ste.inference.batch.writers import Layout, Writer

_LINE, _TURN = "line", "turn"


@dataclass(frozen=True)
class Part:
    """Two files of a share: predictions with the number of their turn and their line, and the rows left out.

    Args:
        folder: of all shares.
        number: of this one.
    """

    folder: Path
    number: int

    @property
    def answers(self) -> Path:
        """Arrow's stream format."""
        return self.folder / f"{self.number}.arrows"

    @property
    def rejects(self) -> Path:
        """A turn's number and a reject in each line, as JSON."""
        return self.folder / f"{self.number}.rejects"


class PartWriter:
    """Writes a part, turn by turn.

    Args:
        part: its files.
        layout: of the predictions.
    """

    def __init__(self, part: Part, layout: Layout) -> None:
        self._schema = layout.schema.append(pa.field(_TURN, pa.int64())).append(pa.field(_LINE, pa.int64()))
        self._files = ExitStack()
        self._answers = self._files.enter_context(pa.ipc.new_stream(str(part.answers), self._schema))
        self._rejects = self._files.enter_context(part.rejects.open("w", encoding="utf-8"))

    def write(self, turn: int, answer: Answer) -> None:
        """Append what a turn came to."""
        for reject in answer.rejects:
            self._rejects.write(json.dumps((turn, *reject)) + "\n")
        if answer.table is not None:
            columns = [*answer.table.columns, pa.repeat(turn, len(answer.line)), pa.array(answer.line)]
            self._answers.write_table(pa.Table.from_arrays(columns, schema=self._schema))

    def __enter__(self) -> "PartWriter":
        return self

    def __exit__(self, *fault: Any) -> None:
        self._files.close()


def join(parts: list[Part], writer: Writer, refused: RejectFile) -> None:
    """Every part's turns in order, each turn's rows in the order of their lines: as one process would have written it.

    One turn of each part is in memory at a time.
    """
    found = heapq.merge(*map(_turns, parts), key=lambda turn: turn[0])
    for _, same in groupby(found, key=lambda turn: turn[0]):
        tables, rejects = [], []
        for _, table, own in same:
            rejects += own
            if table is not None:
                tables.append(table)
        if tables:
            writer.write(_in_order(tables))
        refused.write(rejects)


def _in_order(tables: list[Any]) -> Any:
    table = pa.concat_tables(tables).combine_chunks()
    line = table.column(_LINE).to_numpy()
    if len(tables) > 1 and not (np.diff(line) > 0).all():
        table = table.take(pa.array(np.argsort(line, kind="stable")))
    return table.drop_columns([_TURN, _LINE])


def _turns(part: Part) -> Iterator[tuple[int, Any, list[Reject]]]:
    """Number, predictions or None, and rejects of each turn of a part that came to something."""
    both = heapq.merge(_answers(part), _rejects(part), key=lambda turn: turn[0])
    for number, same in groupby(both, key=lambda turn: turn[0]):
        table, rejects = None, []
        for _, one, own in same:
            table = table if one is None else one
            rejects += own
        yield number, table, rejects


def _answers(part: Part) -> Iterator[tuple[int, Any, list[Reject]]]:
    with pa.memory_map(str(part.answers)) as source:
        batches = ((batch.column(_TURN), batch) for batch in pa.ipc.open_stream(source) if batch.num_rows)
        turns = ((pc.min_max(turn)["min"].as_py(), batch) for turn, batch in batches)
        for number, same in groupby(turns, key=lambda turn: turn[0]):
            yield number, pa.Table.from_batches([batch for _, batch in same]), []


def _rejects(part: Part) -> Iterator[tuple[int, None, list[Reject]]]:
    with part.rejects.open(encoding="utf-8") as file:
        rows = (json.loads(line) for line in file)
        for number, same in groupby(rows, key=lambda row: int(row[0])):
            yield number, None, [Reject(*row[1:]) for row in same]
