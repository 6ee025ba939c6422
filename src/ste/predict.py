"""Predict from a file: `python -m ste.predict model=model.onnx input=table.csv output=predictions.csv`."""

import logging
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from ste.config import PredictSettings
from ste.config.hydra_app import run
from ste.config.load import load_settings

if TYPE_CHECKING:
    from ste.inference.batch.prediction_loop import RowCounts
    from ste.inference.batch.rejects import Reject
    from ste.inference.batch.table_chunk import TableReader
    from ste.inference.onnx_model import ServedModel

log = logging.getLogger(__name__)


def predict_task(config: DictConfig) -> None:
    """Predict a table or daily bars, and print what became of the rows."""
    settings = load_settings(PredictSettings, config)
    from ste.errors import DataError
    from ste.inference.batch.table_reader import open_table  # table libraries are imported after the settings check
    from ste.inference.onnx_model import ServedModel
    from ste.inference.registry.lookup import find_model
    from ste.schema import PERIOD

    path = find_model(settings.model, settings.tracking, Path(settings.paths.output), Path(settings.paths.data))
    _check_outputs(settings, path)
    model = ServedModel(path, settings.threads)
    rejects: list[Reject] = []
    newest = None
    if settings.bars is not None:
        table, rejects, newest = _rows_of_bars(settings, model)
    else:
        table = open_table(Path(str(settings.input)))
    with _exit_on_sigterm(), _progress("predicting", table.size) as advance:
        if settings.distributed:
            counts = _predict_by_workers(settings, path, advance)
        else:
            counts = _predict_here(settings, model, table, advance, newest, rejects)
    period = PERIOD[model.card.frequency]
    scope = f" of the newest {period}" if newest is not None else ""
    print(
        f"predicted {counts.predicted:,} rows{scope}, rejected {counts.rejected:,}, "
        f"{counts.short:,} without enough history"
    )
    print(f"model    {model.card.name} {model.version}, trained to {model.card.trained_to}")
    print(f"output   {settings.output}")
    print(f"rejects  {settings.reject_path}")
    if not counts.predicted:
        length = model.card.sequence_length
        needs = f"{length} consecutive {period}s" if length > 1 else f"a {period}"
        why = f" See {settings.reject_path} for the faults of the rejected rows." if counts.rejected else ""
        raise DataError(f"{table.where}: no row could be predicted. A prediction needs {needs} of a ticker.{why}")


def _predict_here(
    settings: "PredictSettings",
    model: "ServedModel",
    table: "TableReader",
    advance: Callable[[int], None],
    period: int | None,
    rejects: list["Reject"],
) -> "RowCounts":
    """Predict in this process, to one file or to a folder of one part."""
    from ste.inference.batch.output_parts import atomic_folder, part_name
    from ste.inference.batch.prediction_loop import predict_table

    output, reject_path = Path(settings.output), Path(settings.reject_path)
    if not settings.in_parts:
        return predict_table(model, table, output, reject_path, advance, period, rejects)
    with atomic_folder(output) as folder, atomic_folder(reject_path) as reject_folder:
        files = folder / part_name(0, settings.ending), reject_folder / part_name(0, ".csv")
        return predict_table(model, table, *files, advance, period, rejects)


def _predict_by_workers(settings: "PredictSettings", model: Path, advance: Callable[[int], None]) -> "RowCounts":
    from ste.inference.batch.parallel import predict_shards
    from ste.inference.batch.process_pool import run_in_processes
    from ste.inference.batch.ray_data import run_on_ray

    return predict_shards(
        model,
        settings.threads,
        Path(str(settings.input)),
        Path(settings.output),
        Path(settings.reject_path),
        settings.workers,
        run_in_processes if settings.cluster is None else run_on_ray,
        advance,
        settings.ending,
    )


@contextmanager
def _exit_on_sigterm() -> Iterator[None]:
    """Convert SIGTERM to an exception, so that partial files are removed."""
    previous = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _check_outputs(settings: "PredictSettings", model: Path) -> None:
    """Raise where an output would overwrite an input, the other output, or a folder of other files."""
    from ste.errors import ConfigError
    from ste.inference.batch.output_parts import is_parts_folder

    inputs = {**{key: Path(path) for key, path in settings.files().items()}, "model": model}
    outputs = {"output": Path(settings.output), "rejects": Path(settings.reject_path)}
    for key, path in outputs.items():
        for other, read in inputs.items():
            if path.exists() and read.exists() and path.samefile(read):
                raise ConfigError(f"{key}={path}: is the file of {other}= too, and would be overwritten.")
        if not settings.in_parts and path.is_dir():
            raise ConfigError(f"{key}={path}: is a folder. Expected a file to write.")
        if settings.in_parts and path.is_file():
            raise ConfigError(
                f"{key}={path}: is a file. Expected a folder for the parts. Delete it, or try {key}={path}_parts."
            )
        if settings.in_parts and path.is_dir() and not is_parts_folder(path):
            raise ConfigError(f"{key}={path}: the folder has other files than parts. Expected a new folder.")
    if outputs["output"].absolute() == outputs["rejects"].absolute():
        raise ConfigError(f"rejects={outputs['rejects']}: is the output too. Expected a path of its own.")


def _rows_of_bars(
    settings: "PredictSettings", model: "ServedModel"
) -> tuple["TableReader", list["Reject"], int | None]:
    """Compute the feature rows of daily bars.

    Returns:
        The rows, the rejected bars, and the index of the newest period if only that is requested.
    """
    from ste.errors import DataError
    from ste.inference.batch.bar_rows import FrameReader, read_valid_bars
    from ste.inference.card_market import open_market
    from ste.inference.inputs import rows_of_bars
    from ste.market.calendar import periods
    from ste.schema import FEATURE_SETS, PERIOD

    card, path = model.card, Path(str(settings.bars))
    with _progress("reading bars", path.stat().st_size) as advance:
        bars, rejects = read_valid_bars(path, advance)
    market = open_market(card, settings.files(), bars)
    for note in market.notes:
        log.warning(note) if note.startswith("warning") else log.info(note)
    frame = rows_of_bars(market, card, last=card.sequence_length if settings.latest else None)
    if frame.empty:
        lookback = FEATURE_SETS[card.feature_set].lookback
        raise DataError(
            f"{path}: no ticker has a complete {PERIOD[card.frequency]} with the {lookback} sessions of bars that a "
            "row looks back on. Give longer bars."
        )
    if not settings.latest:
        return FrameReader(frame, str(path)), rejects, None
    index = periods(frame["date"], card.frequency)
    newest = int(index.max())
    older = sorted(set(frame["ticker"]) - set(frame["ticker"][index == newest]))
    if older:
        some = ", ".join(older[:5]) + (", ..." if len(older) > 5 else "")
        last = frame["date"][index == newest].iloc[0]
        log.info(f"{len(older)} tickers without a row of {last:%Y-%m-%d} are left out: {some}")
    return FrameReader(frame, str(path)), rejects, newest


@contextmanager
def _progress(title: str, size: int) -> Iterator[Callable[[int], None]]:
    """Show a progress bar if standard error is a terminal."""
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn(title), BarColumn(bar_width=28), TaskProgressColumn(), TimeRemainingColumn(compact=True))
    with Progress(*columns, console=Console(stderr=True), refresh_per_second=4) as progress:
        task = progress.add_task(title, total=size)
        yield lambda done: progress.update(task, completed=done)


def main() -> None:
    """Console entry."""
    run("predict", predict_task)


if __name__ == "__main__":
    main()
