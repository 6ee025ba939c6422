"""Compute a feature set with Qlib: runs with the interpreter of `.venv-peers`, in which STE is not installed."""

from pathlib import Path

import numpy as np
import pandas as pd
import qlib
from qlib.config import C
from qlib.contrib.data.loader import Alpha158DL, Alpha360DL

from benchmarks.peers.resources import clocks, peak
from benchmarks.worker_process import JsonObject

LOADERS = {"alpha158": Alpha158DL, "alpha360": Alpha360DL}


def features(request: JsonObject) -> JsonObject:
    """Measure the way from Qlib's files to all values of a set, by the loader of the set's handler.

    The handler's further work, labels and their normalization, is not part of it.
    """
    before, start = peak(), clocks()
    options = {name: request[name] for name in ("kernels",) if name in request}
    qlib.init(provider_uri=request["folder"], region="us", logging_level=40, **options)
    values = LOADERS[request["set"]](freq="day").load("all")["feature"]
    ended = clocks()
    if "output" in request:
        write_values(values, Path(request["output"]))
    return {
        "seconds": ended[0] - start[0],
        "cpu": ended[1] - start[1],
        "memory": peak() - before,
        "kernels": C.get_kernels("day"),
        "shape": list(values.shape),
        "sessions": values.index.get_level_values("datetime").nunique(),
    }


def write_values(values: pd.DataFrame, path: Path) -> None:
    """Write the values by ticker and date, float32 `[F, N]`."""
    days = values.index.get_level_values("datetime").to_numpy()
    tickers = values.index.get_level_values("instrument").astype(str).to_numpy()
    order = np.lexsort((days, tickers))
    with path.open("wb") as file:
        for column in range(values.shape[1]):
            values.iloc[:, column].to_numpy(dtype="<f4")[order].tofile(file)
