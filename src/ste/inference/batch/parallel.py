"""Prediction from a table by several processes, of this machine or of a Ray cluster: the output is that of one."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from ste.inference.batch.output_parts import Part, PartWriter, join
from ste.inference.batch.prediction_loop import CHUNK, Advance, Predictor, Tally, written
from ste.inference.batch.shards import Share, shares_of, turns
from ste.inference.batch.table_reader import open_table
from ste.inference.onnx_model import ServedModel

Report = Callable[[int], None]
"""Told how much of the table's size a share has been through."""


@dataclass(frozen=True)
class Task:
    """A share of a table to predict; all that a process needs to be told.

    Attributes:
        model: ONNX file.
        threads: of the model.
        table: file, or folder of parts.
        share: of it.
        folder: that the part is written to.
    """

    model: Path
    threads: int
    table: Path
    share: Share
    folder: Path

    def __call__(self, report: Report = lambda done: None) -> Tally:
        """Do it; its part is whole when it returns."""
        table = open_table(self.table)
        predictor = Predictor(ServedModel(self.model, self.threads), table)
        with PartWriter(Part(self.folder, self.share.number), predictor.layout) as part:
            for turn in turns(table, self.share, predictor.columns, CHUNK):
                part.write(turn.number, predictor(turn.chunk))
                report(turn.done)
        return predictor.tally


Runner = Callable[[Sequence[Task], Advance], list[Tally]]
"""Does all tasks at once, tells how far they are on the whole, and gives their tallies in order."""


def predict_spread(
    model: Path,
    threads: int,
    path: Path,
    output: Path,
    rejects: Path,
    workers: int,
    run: Runner,
    advance: Advance = lambda done: None,
) -> Tally:
    """As `predict_table`, by several processes.

    Args:
        model: ONNX file.
        threads: of the model, in each process.
        path: of the table.
        output: predictions, by its ending.
        rejects: CSV of the rows left out.
        workers: processes.
        run: does the tasks.
        advance: told how much of the table's size is done.

    Returns:
        What became of the rows.

    Raises:
        DataError: the file as a whole cannot be used.
        RunError: a process was lost.
    """
    table = open_table(path)
    served = ServedModel(model)
    layout = Predictor(served, table).layout  # what is wrong with the columns is told before anything is begun
    output.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=output.parent, prefix=f".{output.name}.")).absolute()
    try:
        shares = shares_of(table, workers)
        tasks = [Task(model.absolute(), threads, path.absolute(), share, folder) for share in shares]
        tallies = run(tasks, advance)
        with written(output, rejects, layout, table) as (writer, refused):
            join([Part(folder, task.share.number) for task in tasks], writer, refused)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    whole = Tally(*(sum(getattr(tally, field.name) for tally in tallies) for field in fields(Tally)))
    whole.rejected = refused.count
    return whole
