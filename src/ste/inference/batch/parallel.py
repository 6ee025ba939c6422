"""Predict a table by several workers, on this machine or on a Ray cluster: one output part per shard."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ste.inference.batch.output_parts import atomic_folder, part_name
from ste.inference.batch.prediction_loop import Advance, RowCounts, check_columns, predict_table
from ste.inference.batch.shards import Shard, ShardReader, plan_shards
from ste.inference.batch.table_reader import open_table
from ste.inference.onnx_model import ServedModel


@dataclass(frozen=True)
class ShardTask:
    """Prediction of one shard; everything a worker needs to know. Paths are absolute.

    Attributes:
        model: ONNX file.
        threads: of the model.
        table: file, or folder of Parquet files.
        shard: part of the table.
        output: file to write the predictions to.
        rejects: CSV file to write the rejected rows to.
    """

    model: Path
    threads: int
    table: Path
    shard: Shard
    output: Path
    rejects: Path

    def __call__(self) -> RowCounts:
        """Predict the shard; both files are complete when this returns."""
        table = ShardReader(open_table(self.table), self.shard)
        return predict_table(ServedModel(self.model, self.threads), table, self.output, self.rejects)


Runner = Callable[[Sequence[ShardTask], Advance], list[RowCounts]]
"""Runs all tasks at once and reports the number of finished ones."""


def predict_shards(
    model: Path,
    threads: int,
    path: Path,
    output: Path,
    rejects: Path,
    workers: int,
    run: Runner,
    advance: Advance = lambda done: None,
    ending: str = ".parquet",
) -> RowCounts:
    """Predict a table as `predict_table` does, by several workers.

    Rows and values equal those of one worker. Each part has its shard's rows in the order of the input.

    Args:
        model: ONNX file.
        threads: of the model, in each worker.
        path: of the table.
        output: folder for the predictions; appears when all parts are complete.
        rejects: folder for the rejected rows; likewise.
        workers: maximum number of shards.
        run: runs the tasks.
        advance: called with the part of the table's size that is done.
        ending: format of the predictions: `.csv`, `.csv.gz` or `.parquet`.

    Raises:
        DataError: the table cannot be used.
        RunError: a worker was lost.
    """
    table = open_table(path)
    check_columns(table, ServedModel(model).card)  # before any worker starts
    shards = plan_shards(table, workers)
    with ExitStack() as stack:
        folders = [stack.enter_context(atomic_folder(folder)) for folder in (output, rejects)]
        tasks = [
            ShardTask(
                model.absolute(),
                threads,
                path.absolute(),
                shard,
                folders[0] / part_name(shard.index, ending),
                folders[1] / part_name(shard.index, ".csv"),
            )
            for shard in shards
        ]
        counts = run(tasks, lambda done: advance(done * table.size // len(tasks)))
    return sum(counts, RowCounts())
