"""Qlib's side of the comparison: run by the interpreter of `.venv-peers`, in which there is no STE.

Reads a JSON object from each line of its input and answers it with one on its output. Calls Qlib's public classes
as its documentation and examples do; whatever Qlib prints goes to the standard error.
"""

import json
import os
import resource
import sys
import time
import warnings
from collections.abc import Callable
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
Answer = dict[str, Any]


def windows(given: Answer) -> Answer:
    """From Qlib's files to windows of the three splits and the first training batch; once in a process."""
    before, began = _peak(), _clocks()
    options = {name: given[name] for name in ("kernels", "maxtasksperchild") if name in given}
    qlib.init(provider_uri=given["folder"], region="us", logging_level=40, **options)
    fields = STOCK | {name: f"${name}" for name in given["given"]}
    loader = QlibDataLoader(
        {"feature": (list(fields.values()), list(fields)), "label": ([LABEL], ["return"])}, freq="day"
    )
    initialised = _clocks()
    dataset = _dataset(loader, given, instruments="all")
    handled = _clocks()
    samplers = {name: _sampler(dataset, name) for name in given["segments"]}
    sampled = _clocks()
    batch = next(iter(DataLoader(samplers["train"], batch_size=given["batch_size"], shuffle=True)))
    ended = _clocks()
    return {
        "seconds": ended[0] - began[0],
        "cpu": ended[1] - began[1],
        "peak": _peak() - before,
        "stages": {
            "init": initialised[0] - began[0],
            "handler": handled[0] - initialised[0],
            "samplers": sampled[0] - handled[0],
            "first batch": ended[0] - sampled[0],
        },
        "windows": {name: len(sampler) for name, sampler in samplers.items()},
        "batch": list(batch.shape),
        "finite": bool(torch.isfinite(batch).all()),
    }


def _dataset(loader: Any, given: Answer, instruments: str | None) -> TSDatasetH:
    """Features standardised by the training dates, rows without a label dropped, as in Qlib's own LSTM examples."""
    first, last = given["segments"]["train"]
    scaling = {
        "class": "ZScoreNorm",
        "kwargs": {"fit_start_time": first, "fit_end_time": last, "fields_group": "feature"},
    }
    handler = DataHandlerLP(
        instruments=instruments,
        start_time=given["start"],
        end_time=given["end"],
        data_loader=loader,
        infer_processors=[scaling] if given.get("scaled", True) else [],
        learn_processors=["DropnaLabel"] if given.get("scaled", True) else [],
    )
    return TSDatasetH(step_len=given["length"], handler=handler, segments=given["segments"])


def _sampler(dataset: TSDatasetH, name: str) -> Any:
    sampler = dataset.prepare(name, col_set=["feature", "label"], data_key=DataHandlerLP.DK_L)
    sampler.config(fillna_type="ffill+bfill")
    return sampler


class Ready:
    """A dataset whose windows are made already, for `LSTM.fit`, which asks for them each time."""

    def __init__(self, samplers: Answer) -> None:
        self.samplers = samplers

    def prepare(self, name: str, **_: Any) -> Any:
        """The windows of a split."""
        return self.samplers[name]


class Timed(LSTM):  # type: ignore[misc]
    """Qlib's trainer; counts the seconds of its passes that learn."""

    learning = 0.0

    def train_epoch(self, data_loader: Any) -> None:
        """One pass over the training windows."""
        began = time.perf_counter()
        super().train_epoch(data_loader)
        self.learning += time.perf_counter() - began


def trainer(given: Answer) -> Callable[[Answer], Answer]:
    """A trainer on the rows of STE's own tables; each further line is answered with the seconds of one `fit`."""
    qlib.init(provider_uri=given["folder"], region="us", logging_level=40)
    torch.set_num_threads(given["threads"])
    columns = given["features"]
    table = pd.concat([pd.read_parquet(path) for path in given["tables"]]).set_index(["date", "ticker"]).sort_index()
    table.index.names = ["datetime", "instrument"]
    frame = pd.concat({"feature": table[columns], "label": table[[given["label"]]]}, axis=1).astype(np.float32)
    dataset = _dataset(StaticDataLoader(frame), given, instruments=None)
    samplers = {name: _sampler(dataset, name) for name in ("train", "valid")}
    path = os.path.join(given["folder"], "qlib-lstm.pt")

    def fit(request: Answer) -> Answer:
        model = Timed(
            d_feat=len(columns),
            hidden_size=given["hidden_size"],
            num_layers=given["num_layers"],
            n_epochs=request["epochs"],
            lr=given["lr"],
            batch_size=given["batch_size"],
            early_stop=request["epochs"],
            n_jobs=request["n_jobs"],
            GPU=-1,
            seed=0,
        )
        began = _clocks()
        model.fit(Ready(samplers), evals_result={}, save_path=path)
        ended = _clocks()
        return {
            "seconds": ended[0] - began[0],
            "cpu": ended[1] - began[1],
            "learning": model.learning,
            "examples": {name: len(sampler) for name, sampler in samplers.items()},
        }

    return fit


def _clocks() -> tuple[float, float]:
    """Wall time, and CPU time of this process and of those it has waited for, seconds."""
    times = os.times()
    return time.perf_counter(), times.user + times.system + times.children_user + times.children_system


def _peak() -> float:
    """Largest resident size so far, this process or one it has waited for, MiB."""
    return max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024


def main() -> None:
    """Answer the first line by the job that it names, and each further one by what that job has left."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warnings.filterwarnings("ignore")

    def tell(answer: Answer) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    tell({"qlib": qlib.__version__, "torch": torch.__version__, "pandas": pd.__version__, "numpy": np.__version__})
    first = json.loads(sys.stdin.readline())
    if first["job"] == "windows":
        tell(windows(first))
        return
    fit = trainer(first)
    tell({})
    for line in sys.stdin:
        tell(fit(json.loads(line)))


if __name__ == "__main__":
    main()
