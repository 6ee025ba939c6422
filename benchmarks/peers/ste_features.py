"""Compute a feature set with STE in a process of its own: `python -m benchmarks.peers.ste_features`."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmarks.peers.resources import clocks, peak
from benchmarks.worker_process import JsonObject, answer_requests
from ste.config import TrainSettings
from ste.config.feature_sets import load_feature_set
from ste.config.load import compose_command, load_settings
from ste.data.sources.daily_sources import daily_sources
from ste.features.feature_rows import feature_rows


def features(request: JsonObject) -> JsonObject:
    """Measure the way from a file of bars, which is checked, to all rows of a set."""
    overrides = ["data=market", f"data.bars={request['bars']}", "data.frequency=daily", f"features={request['set']}"]
    settings = load_settings(TrainSettings, compose_command("train", overrides)).data
    chosen = load_feature_set(request["set"])
    before, start = peak(), clocks()
    rows = feature_rows(daily_sources(settings), "daily", chosen)
    ended = clocks()
    write_values(rows, chosen.names, Path(request["output"]))
    return {
        "seconds": ended[0] - start[0],
        "cpu": ended[1] - start[1],
        "memory": peak() - before,
        "shape": [len(rows), len(chosen.names)],
    }


def write_values(rows: pd.DataFrame, names: Sequence[str], path: Path) -> None:
    """Write columns of rows that are sorted by ticker and date, float64 `[F, N]`."""
    with path.open("wb") as file:
        for name in names:
            rows[name].to_numpy(dtype="<f8").tofile(file)


if __name__ == "__main__":
    answer_requests(features)
