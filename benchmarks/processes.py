"""What two processes do in the time of one: training steps, and rows predicted; see `benchmarks.distributed`."""

import importlib.util
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from benchmarks.figures import Figure, compared, interleaved
from benchmarks.prediction import blocks, command
from ste.config import TrainSettings
from ste.config.load import compose_train, plain, train_settings
from ste.data.build.prepare import prepare
from ste.data.panel import Panel
from ste.inference.batch.parallel import Runner, predict_spread
from ste.inference.batch.prediction_loop import predict_table
from ste.inference.batch.process_pool import on_this_machine
from ste.inference.batch.ray_tasks import on_ray
from ste.inference.batch.table_reader import open_table
from ste.inference.onnx_model import ServedModel
from ste.training.fit import data_of, fit, prepare_fit
from ste.training.worker_processes import helped, place_of

PART = "distributed"
ROUNDS = 2
ROWS, TICKERS = 600_000, 600
_WORLD = (
    *("data.tickers=10", "data.start=2000-01-01", "data.end=2019-12-31", "data.sequence_length=20"),
    *("data.split.validation_start=2018-01-01", "data.split.test_start=2019-01-01"),
)
_FIT = ("model=lstm", "trainer.max_epochs=2", "trainer.progress=false", "fit.patience=null", "tracking.enabled=false")
_TRAINING = ("model=lstm", "data.tickers=4", "trainer.max_epochs=1", "trainer.progress=false", "scoring.resamples=200")


def training(folder: Path, batch: int) -> Figure:
    """Two processes with half of each batch against one with two threads, the same steps."""
    one, two = (
        partial(_samples, folder, f"trainer={trainer}", f"trainer.threads={threads}", f"data.batch_size={size}")
        for trainer, threads, size in (("cpu", 2, batch), ("ddp", 1, batch // 2))
    )
    return compared(
        PART,
        f"lstm, batch {batch}, 2 processes of a thread",
        "samples/s",
        interleaved(two, one, ROUNDS),
        "one process of two threads",
        "more",
        note="of the fit alone: a second process takes some seconds to begin",
    )


def _samples(folder: Path, *overrides: str) -> float:
    """Training samples a second of a fit."""
    given = [f"paths.data={folder / 'data'}", f"paths.output={folder / 'outputs'}", *_WORLD, *_FIT, *overrides]
    settings: TrainSettings = train_settings(plain(compose_train(given)))
    threads = torch.get_num_threads()
    torch.set_num_threads(settings.trainer.threads or 1)
    try:
        panel = Panel.read(prepare(settings.data, folder / "data"), settings.data)
        data = data_of(settings, panel)
        model = prepare_fit(settings, data)
        with tempfile.TemporaryDirectory(dir=folder) as name, helped(settings, place_of(settings), Path(name)):
            fitted = fit(settings, data, model, Path(name), None)
    finally:
        torch.set_num_threads(threads)
    assert fitted is not None
    return len(data.datasets["train"]) * fitted.epochs / fitted.seconds


def prediction(folder: Path) -> Iterator[Figure]:
    """A Parquet table of weekly rows, by ticker, to Parquet."""
    command(folder, "train", *_TRAINING)
    command(folder, "export", "run=latest", "output=model.onnx")
    whole = pa.concat_tables(blocks(ROWS, TICKERS, "ticker"))
    pq.write_table(whole, folder / "table.parquet", row_group_size=ROWS // 20)
    case = f"predict {ROWS:,} rows, lstm, 2 processes of a thread"
    alone, spread = partial(_rows, folder, None), partial(_rows, folder, on_this_machine)
    note = "with the start of both processes, and the joining of what they wrote"
    yield compared(PART, case, "rows/s", interleaved(spread, alone, ROUNDS), "one process", "more", note=note)
    if importlib.util.find_spec("ray") is not None:
        with _ray():
            rounds = interleaved(partial(_rows, folder, on_ray), spread, ROUNDS)
        yield compared(PART, f"{case}, Ray", "rows/s", rounds, "processes of this machine", "more")


def _rows(folder: Path, run: Runner | None) -> float:
    """Rows predicted a second."""
    model, table, output = folder / "model.onnx", folder / "table.parquet", folder / "predictions.parquet"
    rejects = folder / "rejects.csv"
    began = time.perf_counter()
    if run is None:
        tally = predict_table(ServedModel(model), open_table(table), output, rejects)
    else:
        tally = predict_spread(model, 1, table, output, rejects, 2, run)
    return tally.rows / (time.perf_counter() - began)


@contextmanager
def _ray() -> Iterator[None]:
    """A Ray of this machine that stands already, as a cluster does."""
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        yield
    finally:
        ray.shutdown()
