"""Predict a table by several workers, on this machine or on a Ray cluster: one output part per shard."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ste.config import PredictSettings
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
    settings: PredictSettings, model: Path, run: Runner, advance: Advance = lambda done: None
) -> RowCounts:
    """Predict a table as `predict_table` does, by several workers.

    Rows and values equal those of one worker. Each part has its shard's rows in the order of the input, and the folders
    of predictions and rejects appear when all parts are complete.

    Args:
        settings: table, outputs and workers.
        model: ONNX file.
        run: runs the tasks.
        advance: called with the part of the table's size that is done.

    Raises:
        DataError: the table cannot be used.
        RunError: a worker was lost.
    """
    path = Path(str(settings.input)).absolute()
    table = open_table(path)
    check_columns(table, ServedModel(model).card)  # before any worker starts
    with atomic_folder(Path(settings.output)) as output, atomic_folder(Path(settings.reject_path)) as rejects:
        tasks = [
            ShardTask(
                model.absolute(),
                settings.threads,
                path,
                shard,
                output / part_name(shard.index, settings.ending),
                rejects / part_name(shard.index, ".csv"),
            )
            for shard in plan_shards(table, settings.workers)
        ]
        counts = run(tasks, lambda done: advance(done * table.size // len(tasks)))
    return sum(counts, RowCounts())
