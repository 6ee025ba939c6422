"""Qlib's worker: runs with the interpreter of `.venv-peers`, in which STE is not installed.

Calls Qlib's public classes as its documentation and examples do.
"""

import os
import time
import warnings
from typing import Any

import numpy as np
import pandas as pd
import qlib
import torch
from qlib.contrib.model.pytorch_lstm_ts import LSTM
from qlib.data.dataset import TSDatasetH
from qlib.data.dataset.handler import DataHandlerLP
from qlib.data.dataset.loader import QlibDataLoader, StaticDataLoader
from torch.utils.data import DataLoader

from benchmarks.peers.qlib_features import features
from benchmarks.peers.resources import clocks, peak
from benchmarks.worker_process import JsonObject, answer_requests

STEP = "Ref($close, 1)"
STOCK = {
    "stock_open": "$open",
    "stock_high": "$high",
    "stock_low": "$low",
    "stock_close": "$close",
    "stock_volume": "$volume",
    "stock_sma_20": "Mean($close, 20)",
    "stock_sma_50": "Mean($close, 50)",
    # Wilder's mean over 14 sessions is an exponential one with a span of 27.
    "stock_rsi": f"100 * EMA(Greater($close - {STEP}, 0), 27) / EMA(Abs($close - {STEP}), 27)",
    "stock_macd": "EMA($close, 12) - EMA($close, 26)",
    "stock_bb_upper": "Mean($close, 20) + 2 * Std($close, 20)",
    "stock_bb_lower": "Mean($close, 20) - 2 * Std($close, 20)",
}
LABEL = "Ref($close, -1) / $close - 1"


def windows(request: JsonObject) -> JsonObject:
    """Measure the way from Qlib's files to windows of the three splits and the first training batch."""
    before, start = peak(), clocks()
    options = {name: request[name] for name in ("kernels", "maxtasksperchild") if name in request}
    qlib.init(provider_uri=request["folder"], region="us", logging_level=40, **options)
    fields = STOCK | {name: f"${name}" for name in request["given"]}
    loader = QlibDataLoader(
        {"feature": (list(fields.values()), list(fields)), "label": ([LABEL], ["return"])}, freq="day"
    )
    initialised = clocks()
    dataset = _dataset(loader, request, instruments="all")
    handled = clocks()
    samplers = {name: _sampler(dataset, name) for name in request["segments"]}
    sampled = clocks()
    batch = next(iter(DataLoader(samplers["train"], batch_size=request["batch_size"], shuffle=True)))
    ended = clocks()
    return {
        "seconds": ended[0] - start[0],
        "cpu": ended[1] - start[1],
        "memory": peak() - before,
        "stages": {
            "init": initialised[0] - start[0],
            "handler": handled[0] - initialised[0],
            "samplers": sampled[0] - handled[0],
            "first batch": ended[0] - sampled[0],
        },
        "windows": {name: len(sampler) for name, sampler in samplers.items()},
        "batch": list(batch.shape),
        "finite": bool(torch.isfinite(batch).all()),
    }


def _dataset(loader: Any, request: JsonObject, instruments: str | None) -> TSDatasetH:
    """Standardize features by the training dates and drop rows without a label, as Qlib's own LSTM examples do."""
    first, last = request["segments"]["train"]
    scaling = {
        "class": "ZScoreNorm",
        "kwargs": {"fit_start_time": first, "fit_end_time": last, "fields_group": "feature"},
    }
    handler = DataHandlerLP(
        instruments=instruments,
        start_time=request["start"],
        end_time=request["end"],
        data_loader=loader,
        infer_processors=[scaling],
        learn_processors=["DropnaLabel"],
    )
    return TSDatasetH(step_len=request["length"], handler=handler, segments=request["segments"])


def _sampler(dataset: TSDatasetH, name: str) -> Any:
    sampler = dataset.prepare(name, col_set=["feature", "label"], data_key=DataHandlerLP.DK_L)
    sampler.config(fillna_type="ffill+bfill")
    return sampler


class OpenedDataset:
    """A dataset whose windows exist already, for `LSTM.fit`, which asks for them each time."""

    def __init__(self, samplers: JsonObject) -> None:
        self.samplers = samplers

    def prepare(self, name: str, **_: Any) -> Any:
        """Return the windows of a split."""
        return self.samplers[name]


class TimedLSTM(LSTM):  # type: ignore[misc]
    """Qlib's trainer, with the seconds of its training passes in `learning`."""

    learning = 0.0

    def train_epoch(self, data_loader: Any) -> None:
        """Make one pass over the training windows."""
        start = time.perf_counter()
        super().train_epoch(data_loader)
        self.learning += time.perf_counter() - start


class Trainer:
    """Qlib's LSTM trainer on the rows of STE's tables.

    Args:
        tables: description of the tables (`benchmarks.fits.describe`), with `folder` and `threads`.
    """

    def __init__(self, tables: JsonObject) -> None:
        qlib.init(provider_uri=tables["folder"], region="us", logging_level=40)
        torch.set_num_threads(tables["threads"])
        rows = pd.concat([pd.read_parquet(path) for path in tables["tables"]])
        rows = rows.set_index(["date", "ticker"]).sort_index()
        rows.index.names = ["datetime", "instrument"]
        columns = {"feature": rows[tables["features"]], "label": rows[[tables["label"]]]}
        frame = pd.concat(columns, axis=1).astype(np.float32)
        dataset = _dataset(StaticDataLoader(frame), tables, instruments=None)
        self._tables = tables
        self._samplers = {name: _sampler(dataset, name) for name in ("train", "valid")}

    def fit(self, request: JsonObject) -> JsonObject:
        """Make one fit and return its seconds."""
        tables = self._tables
        model = TimedLSTM(
            d_feat=len(tables["features"]),
            hidden_size=tables["hidden_size"],
            num_layers=tables["num_layers"],
            n_epochs=request["epochs"],
            lr=tables["lr"],
            batch_size=tables["batch_size"],
            early_stop=request["epochs"],
            n_jobs=request["n_jobs"],
            GPU=-1,
            seed=0,
        )
        start = time.perf_counter()
        path = os.path.join(tables["folder"], "qlib-lstm.pt")
        model.fit(OpenedDataset(self._samplers), evals_result={}, save_path=path)
        return {
            "seconds": time.perf_counter() - start,
            "learning": model.learning,
            "examples": {name: len(sampler) for name, sampler in self._samplers.items()},
        }


def main() -> None:
    """Answer the jobs `windows`, `features`, `open` and `fit`."""
    warnings.filterwarnings("ignore")
    trainers: list[Trainer] = []

    def answer(request: JsonObject) -> JsonObject:
        if request["job"] == "windows":
            return windows(request)
        if request["job"] == "features":
            return features(request)
        if request["job"] == "open":
            trainers.append(Trainer(request))
            return {}
        return trainers[-1].fit(request)

    answer_requests(answer)


if __name__ == "__main__":
    main()
