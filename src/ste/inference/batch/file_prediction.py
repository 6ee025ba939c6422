"""Predict the file that the settings of `python -m ste.predict` name."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path

from ste.config import PredictSettings
from ste.config.progress import step, wrapped
from ste.data.bar_files.bar_frame import FaultyRow
from ste.errors import ConfigError, DataError
from ste.inference.batch.date_prediction import DatePredictor
from ste.inference.batch.frame_reader import FrameReader
from ste.inference.batch.next_positions import write_next_positions
from ste.inference.batch.output_parts import atomic_folder, is_parts_folder, part_name
from ste.inference.batch.parallel import predict_shards
from ste.inference.batch.prediction_loop import Advance, RowCounts, predict_table
from ste.inference.batch.process_pool import run_in_processes
from ste.inference.batch.ray_data import run_on_ray
from ste.inference.batch.rejects import Reject
from ste.inference.batch.table_chunk import TableReader
from ste.inference.batch.table_reader import open_table
from ste.inference.card_market import open_market
from ste.inference.inputs import card_look_back, rows_of_bars
from ste.inference.model_card import ModelCard
from ste.inference.onnx_model import ServedModel
from ste.inference.registry.lookup import find_model
from ste.market.sources import Market
from ste.schema import PERIOD

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FilePrediction:
    """The result of `predict_file`.

    Attributes:
        model: that predicted.
        counts: what became of the rows.
        source: path of the table or of the bars.
        positions: what was written to `positions=`, in words; None without it, or without a prediction.
    """

    model: ServedModel
    counts: RowCounts
    source: str
    positions: str | None = None


def predict_file(settings: PredictSettings) -> FilePrediction:
    """Predict a table or daily bars, and write predictions and rejects.

    Args:
        settings: of the command.

    Raises:
        SteError: a model, an input or an output that cannot be used.
    """
    path = find_model(settings.model, settings.tracking, settings.paths)
    check_outputs(settings, path)
    model = ServedModel(path, settings.threads)
    if model.card.sees_market and settings.distributed:
        key = f"workers={settings.workers}" if settings.workers > 1 else f"cluster={settings.cluster}"
        raise ConfigError(
            f"{key}: {model.card.name} predicts the tickers of a date together, and workers split a table by ticker. "
            "Try workers=1 without cluster."
        )
    table: TableReader
    rejects: list[Reject] = []
    market: Market | None = None
    if settings.bars is not None:
        table, rejects, market = _rows_of_bars(settings, model.card)
        model.card = replace(model.card, calendar=market.calendar.name)  # the days of the file, for a model of `bars`
    else:
        table = open_table(Path(str(settings.input)))
    with step("predicting", table.size) as shown:
        if settings.distributed:
            run = run_in_processes if settings.cluster is None else run_on_ray
            counts = predict_shards(settings, path, run, shown.update)
        else:
            counts = _predict_here(settings, model, table, shown.update, rejects)
    if isinstance(table, FrameReader) and settings.latest:  # of the newest rows, not of the history before them
        refused = counts.rejected - len(rejects)
        counts.short = table.frame["ticker"].nunique() - counts.predicted - refused
    positions = None
    if settings.positions is not None and counts.predicted:
        positions = write_next_positions(settings, model.card, market)
    return FilePrediction(model, counts, table.where, positions)


def check_outputs(settings: PredictSettings, model: Path) -> None:
    """Raise `ConfigError` if an output would overwrite an input, the other output, or a folder of other files."""
    inputs = {**{key: Path(path) for key, path in settings.files().items()}, "model": model}
    outputs = {"output": Path(settings.output), "rejects": Path(settings.reject_path)}
    if settings.positions is not None:
        outputs["positions"] = Path(settings.positions)
    for key, path in outputs.items():
        for other, read in inputs.items():
            if path.exists() and read.exists() and path.samefile(read):
                raise ConfigError(f"{key}={path}: is the file of {other}= too, and would be overwritten.")
        if (not settings.in_parts or key == "positions") and path.is_dir():
            raise ConfigError(f"{key}={path}: is a folder. Expected a file to write.")
        if key == "positions":  # always one file
            continue
        if settings.in_parts and path.is_file():
            raise ConfigError(f"{key}={path}: is a file. Expected a folder for the parts: delete it, or name another.")
        if settings.in_parts and path.is_dir() and not is_parts_folder(path):
            raise ConfigError(f"{key}={path}: the folder has other files than parts. Expected a new folder.")
    places: dict[Path, str] = {}
    for key, path in outputs.items():
        other = places.setdefault(path.absolute(), key)
        if other != key:
            raise ConfigError(f"{key}={path}: is the {other} too. Expected a path of its own.")


def _predict_here(
    settings: PredictSettings,
    model: ServedModel,
    table: TableReader,
    advance: Advance,
    rejects: list[Reject],
) -> RowCounts:
    """Predict in this process, to one file or to a folder of one part."""
    output, reject_path = Path(settings.output), Path(settings.reject_path)
    predictor = DatePredictor(model, table) if model.card.sees_market else None
    if not settings.in_parts:
        return predict_table(model, table, output, reject_path, advance, rejects, predictor)
    with atomic_folder(output) as folder, atomic_folder(reject_path) as reject_folder:
        files = folder / part_name(0, settings.ending), reject_folder / part_name(0, ".csv")
        return predict_table(model, table, *files, advance, rejects, predictor)


def _rows_of_bars(settings: PredictSettings, card: ModelCard) -> tuple[FrameReader, list[Reject], Market]:
    """Compute the feature rows of daily bars, and return the rejected bars and the market with them.

    If only the newest period is requested, the rows are those of its windows.
    """
    path = str(settings.bars)
    rejects: list[Reject] = []

    def reject(rows: list[FaultyRow]) -> None:
        rejects.extend(
            Reject(row.line, row.ticker, row.date, row.column, row.found, f"expected {row.expected}", row.where)
            for row in rows
        )

    with step("reading bars"):
        market = open_market(card, vars(settings), reject)
    for note in market.notes:
        log.log(logging.WARNING if note.startswith("warning") else logging.INFO, wrapped(note, indent=2))
    with step("computing features"):
        frame = rows_of_bars(market, card, last=card.sequence_length if settings.latest else None)
    if frame.empty:
        lookback = card_look_back(card)
        raise DataError(
            f"{path}: no ticker has a complete {PERIOD[card.frequency]} with the {lookback} sessions of bars that a "
            "row looks back on. Give longer bars."
        )
    if settings.latest:
        last = frame.groupby("ticker")["date"].transform("max")
        older = sorted(set(frame["ticker"][last < last.max()]))
        if older:
            some = ", ".join(older[:5]) + (", ..." if len(older) > 5 else "")
            log.info(f"{len(older)} tickers without a row of {last.max():%Y-%m-%d} are left out: {some}")
        frame = frame[last == last.max()]
    return FrameReader(frame, path, len({reject.file for reject in rejects}) > 1), rejects, market
