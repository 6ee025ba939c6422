"""Predict from a file: `python -m ste.predict model=model.onnx input=table.csv output=predictions.csv`."""

import logging
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from ste.config.hydra_app import run
from ste.config.load import plain, predict_settings

if TYPE_CHECKING:
    from ste.config import PredictSettings
    from ste.inference.batch.prediction_loop import Tally
    from ste.inference.batch.rejects import Reject
    from ste.inference.batch.table_reader import Table
    from ste.inference.onnx_model import ServedModel

log = logging.getLogger(__name__)


def predict_task(config: DictConfig) -> None:
    """Read, check, predict, write, and say what became of the rows."""
    settings = predict_settings(plain(config))
    from ste.errors import DataError
    from ste.inference.batch.prediction_loop import predict_table
    from ste.inference.batch.table_reader import open_table  # the libraries that read tables load only now
    from ste.inference.onnx_model import ServedModel
    from ste.schema import PERIOD

    path = _model_file(settings)
    output, rejects = Path(settings.output), Path(settings.reject_file())
    _check_outputs(settings, path)
    model = ServedModel(path, settings.threads)
    before: list[Reject] = []
    only = None
    if settings.bars is not None:
        table, before, only = _rows_of_bars(settings, model)
    else:
        table = open_table(Path(settings.input))
    with _ended_cleanly(), _progress("predicting", table.size) as advance:
        if settings.workers > 1 or settings.cluster is not None:
            tally = _spread(settings, path, advance)
        else:
            tally = predict_table(model, table, output, rejects, advance, only, before)
    period = PERIOD[model.card.frequency]
    newest = f" of the newest {period}" if only is not None else ""
    counts = f"rejected {tally.rejected:,}, {tally.short:,} without enough history"
    print(f"predicted {tally.predicted:,} rows{newest}, {counts}")
    print(f"model    {model.card.name} {model.version}, trained to {model.card.trained_to}")
    print(f"output   {output}")
    print(f"rejects  {rejects}")
    if not tally.predicted:
        length = model.card.sequence_length
        needs = f"{length} consecutive {period}s" if length > 1 else f"a {period}"
        why = f" {rejects} says what is wrong with the rejected rows." if tally.rejected else ""
        raise DataError(f"{table.where}: no row could be predicted. A prediction needs {needs} of a ticker.{why}")


def _spread(settings: "PredictSettings", model: Path, advance: Callable[[int], None]) -> "Tally":
    from ste.inference.batch.parallel import predict_spread
    from ste.inference.batch.process_pool import on_this_machine
    from ste.inference.batch.ray_tasks import on_ray

    run = on_this_machine if settings.cluster is None else on_ray
    output, rejects = Path(settings.output), Path(settings.reject_file())
    table = Path(settings.input)
    return predict_spread(model, settings.threads, table, output, rejects, settings.workers, run, advance)


@contextmanager
def _ended_cleanly() -> Iterator[None]:
    """Leave by an exception when asked to end, so that no partial file stays behind."""
    previous = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _model_file(settings: "PredictSettings") -> Path:
    from ste.inference.registry.lookup import find_model

    return find_model(settings.model, settings.tracking, Path(settings.paths.output), Path(settings.paths.data))


def _check_outputs(settings: "PredictSettings", model: Path) -> None:
    """Raise where a file would be written over that is read, or over the other one."""
    from ste.errors import ConfigError

    read = {**{key: Path(path) for key, path in settings.files().items()}, "model": model}
    written = {"output": Path(settings.output), "rejects": Path(settings.reject_file())}
    for key, path in written.items():
        if path.is_dir():
            raise ConfigError(f"{key}={path}: is a folder. Expected a file to write.")
        for other, found in read.items():
            if path.exists() and found.exists() and path.samefile(found):
                raise ConfigError(f"{key}={path}: is the file of {other}= too, and would be written over.")
    if written["output"].absolute() == written["rejects"].absolute():
        raise ConfigError(f"rejects={written['rejects']}: is the output too. Give it a file of its own.")


def _rows_of_bars(settings: "PredictSettings", model: "ServedModel") -> tuple["Table", list["Reject"], int | None]:
    """The feature rows of daily bars, what was wrong with the bars, and the newest period where that is asked for."""
    from ste.config import MarketSettings
    from ste.data.sources.market_files import adjusted_bars, market_of
    from ste.errors import DataError
    from ste.inference.batch.bar_rows import FrameTable, read_good_bars
    from ste.inference.inputs import rows_of_bars
    from ste.market.calendar import periods
    from ste.schema import FEATURE_SETS, PERIOD

    card, path = model.card, Path(settings.bars)
    with _progress("reading bars", path.stat().st_size) as advance:
        bars, rejects = read_good_bars(path, advance)
    notes: list[str] = []
    market = MarketSettings(
        source="market",
        frequency=card.frequency,
        features=card.feature_set,
        representation="stationary" if card.feature_set == "full" else "standard",
        bars=str(path),
        **{key: getattr(settings, key) for key in ("news", "macro", "policy")},
    )
    sources = market_of(adjusted_bars(bars, notes), market, notes)
    for note in notes:
        log.warning(note) if note.startswith("warning") else log.info(note)
    frame = rows_of_bars(sources, card, last=max(card.sequence_length, 1) if settings.latest else None)
    if frame.empty:
        lookback = FEATURE_SETS[card.feature_set].lookback
        raise DataError(
            f"{path}: no ticker has a complete {PERIOD[card.frequency]} with the {lookback} sessions of bars that a "
            "row looks back on. Give longer bars."
        )
    if not settings.latest:
        return FrameTable(frame, str(path)), rejects, None
    number = periods(frame["date"], card.frequency)
    newest = int(number.max())
    older = sorted(set(frame["ticker"]) - set(frame["ticker"][number == newest]))
    if older:
        some = ", ".join(older[:5]) + (", ..." if len(older) > 5 else "")
        last = frame["date"][number == newest].iloc[0]
        log.info(f"{len(older)} tickers without a row of {last:%Y-%m-%d} are left out: {some}")
    return FrameTable(frame, str(path)), rejects, newest


@contextmanager
def _progress(what: str, size: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal; nothing where nobody watches."""
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(bar_width=28), TaskProgressColumn(), TimeRemainingColumn(compact=True))
    with Progress(*columns, console=Console(stderr=True), refresh_per_second=4) as progress:
        task = progress.add_task(what, total=size)
        yield lambda done: progress.update(task, completed=done)


def main() -> None:
    """Console entry."""
    run("predict", predict_task)


if __name__ == "__main__":
    main()
