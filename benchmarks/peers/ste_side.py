"""STE's side of the comparison, in a process of its own: a JSON object a line in, one out.

It starts as `python -m ste.train` does and calls what that calls.
"""

import json
import logging
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

import ste
from ste.config import TrainSettings
from ste.config.load import compose_train, plain, train_settings
from ste.data.build.prepare import prepare
from ste.data.datamodule import TrendDataModule
from ste.data.panel import Panel
from ste.schema import FEATURE_SETS, RETURN
from ste.tracking.tracked_run import tracked_run
from ste.training.fit import data_of, fit, prepare_fit

Answer = dict[str, Any]


def windows(given: Answer) -> Answer:
    """From a file of bars to windows of the three splits, fitted scalers and the first training batch."""
    settings = _settings(given)
    before, clocks = _peak(), [_clocks()]
    prepared = prepare(settings.data, Path(settings.paths.data))
    clocks.append(_clocks())
    panel = Panel.read(prepared, settings.data)
    clocks.append(_clocks())
    data = data_of(settings, panel)
    clocks.append(_clocks())
    prepare_fit(settings, data)
    clocks.append(_clocks())
    batch = next(iter(data.train_dataloader()))
    clocks.append(_clocks())
    names = ("tables", "read", "windows", "scalers", "first batch")
    return {
        "seconds": clocks[-1][0] - clocks[0][0],
        "cpu": clocks[-1][1] - clocks[0][1],
        "peak": _peak() - before,
        "stages": {name: b[0] - a[0] for name, a, b in zip(names, clocks, clocks[1:], strict=False)},
        "windows": {name: len(dataset) for name, dataset in data.datasets.items()},
        "batch": list(batch.features.shape),
        "finite": bool(torch.isfinite(batch.features).all()),
    }


def trainer(given: Answer) -> tuple[Answer, Callable[[Answer], Answer]]:
    """What the tables are, and a function that makes one tracked fit and answers its seconds."""
    settings = _settings(given)
    torch.set_num_threads(given["threads"])
    panel = Panel.read(prepare(settings.data, Path(settings.paths.data)), settings.data)
    data = data_of(settings, panel)
    count = 0

    def tracked(request: Answer) -> Answer:
        nonlocal count
        count += 1
        own = _settings(given | {"overrides": [*given["overrides"], f"trainer.max_epochs={request['epochs']}"]})
        output = Path(own.paths.output)
        model = prepare_fit(own, data)
        began = _clocks()
        with tracked_run(own.tracking, output, f"round {count}", {"batch_size": own.data.batch_size}) as run:
            fit(own, data, model, output / "checkpoints" / run.id, run)
        ended = _clocks()
        return {"seconds": ended[0] - began[0], "cpu": ended[1] - began[1], "examples": _examples(data)}

    return _described(settings, panel, data), tracked


def _described(settings: TrainSettings, panel: Panel, data: TrendDataModule) -> Answer:
    """The tables as Qlib's side has to know them: files, columns, and the dates at which examples end."""
    files = [str(path.absolute()) for path in panel.prepared.files.values()]
    days = {split: pd.read_parquet(path)["date"].unique() for split, path in panel.prepared.files.items()}
    length, gap = settings.data.sequence_length, settings.data.split.gap(settings.data.labels.horizon)
    segments = {"train": (days["train"][length - 1], days["train"][-1 - gap])}
    segments["valid"] = (days["validation"][0], days["validation"][-1])
    return {
        "tables": files,
        "features": list(FEATURE_SETS[settings.data.features].names),
        "label": RETURN,
        "segments": {name: [f"{pd.Timestamp(day):%Y-%m-%d}" for day in pair] for name, pair in segments.items()},
        "start": f"{pd.Timestamp(days['train'][0]):%Y-%m-%d}",
        "end": segments["valid"][1].strftime("%Y-%m-%d"),
        "length": length,
        "batch_size": settings.data.batch_size,
        "hidden_size": settings.model["hidden_size"],
        "num_layers": settings.model["num_layers"],
        "lr": settings.optimizer.lr,
        "examples": _examples(data),
    }


def _examples(data: TrendDataModule) -> Answer:
    names = {"train": "train", "validation": "valid"}
    return {name: len(data.datasets[split]) for split, name in names.items()}


def _settings(given: Answer) -> TrainSettings:
    return train_settings(plain(compose_train(given["overrides"])))


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
    logging.getLogger("ste").setLevel(logging.ERROR)

    def tell(answer: Answer) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    tell({"ste": ste.__version__, "torch": torch.__version__, "pandas": pd.__version__, "numpy": np.__version__})
    first = json.loads(sys.stdin.readline())
    if first["job"] == "windows":
        tell(windows(first))
        return
    described, tracked = trainer(first)
    tell(described)
    for line in sys.stdin:
        tell(tracked(json.loads(line)))


if __name__ == "__main__":
    main()
