"""Files of a run: their names, and how they are written and read."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pydantic_core
import yaml

from ste.data.panel import Panel
from ste.data.storage.files import atomic_file
from ste.evaluation.scorecard import Estimate, Scorecard
from ste.experiment.train_result import Result
from ste.reporting.plots.figures import confusion_figure

SPLIT_PREFIX = {"train": "final_train", "validation": "final_validation", "test": "final_test"}
"""Prefix of each split's metrics at the selected epoch."""

PREDICTIONS = "predictions.parquet"
SUMMARY = "summary.json"
CHECKPOINT = "checkpoints/best.ckpt"
MONITORED = "monitored"
"""Metric: value of the metric that selected the epoch."""


def write_inputs(folder: Path, config: dict[str, Any], panel: Panel) -> None:
    """Write the configuration and the data card into the run's folder."""
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    (folder / "data_card.json").write_text(json.dumps(panel.prepared.card, indent=2) + "\n")


def write_outputs(folder: Path, result: Result) -> None:
    """Write confusion matrices, out-of-sample predictions and the summary into the run's folder."""
    confusion = folder / "confusion"
    confusion.mkdir(exist_ok=True)
    for split, scores in result.scores.items():
        title = f"{result.model}, {split}: accuracy {scores.metrics['accuracy']:.1%} of {scores.examples:,}"
        figure = confusion_figure(scores.confusion, scores.classes, title)
        figure.savefig(confusion / f"{split}.png", dpi=110, pil_kwargs={"compress_level": 1})
        counts = pd.DataFrame(scores.confusion, index=scores.classes, columns=scores.classes)
        counts.to_csv(confusion / f"{split}.csv", index_label="true\\predicted")
    result.predictions.slice_split("validation", "test").write(folder / PREDICTIONS)
    with atomic_file(folder / SUMMARY) as partial:  # JSON cannot hold numbers that are not finite
        partial.write_bytes(pydantic_core.to_json(result.summary(), indent=2, inf_nan_mode="null") + b"\n")


def score_metrics(scores: dict[str, Scorecard]) -> dict[str, float]:
    """Flatten scores to metrics: each figure of each split, and its interval outside training."""
    flat: dict[str, float] = {}
    for split, card in scores.items():
        prefix = SPLIT_PREFIX[split]
        flat |= {f"{prefix}/examples": card.examples, f"{prefix}/periods": card.periods}
        for name, figure in card.figures.items():
            flat[f"{prefix}/{name}"] = figure.value
            if split != "train" and figure.low is not None and figure.high is not None:
                flat |= {f"{prefix}/{name}_low": figure.low, f"{prefix}/{name}_high": figure.high}
        for baseline, figures in card.baselines.items():
            shown = ("accuracy", "log_loss")
            flat |= {f"{prefix}/{baseline}_{name}": figures[name].value for name in shown if name in figures}
        for baseline, gains in card.gains.items():
            if "accuracy" in gains:
                flat[f"{prefix}/gain_over_{baseline}"] = gains["accuracy"].value
    return {name: value for name, value in flat.items() if np.isfinite(value)}


def read_estimates(metrics: dict[str, float], prefix: str) -> dict[str, Estimate]:
    """Restore a split's figures and intervals from the metrics of `score_metrics`."""
    own = {name.removeprefix(f"{prefix}/"): value for name, value in metrics.items() if name.startswith(f"{prefix}/")}
    bounds = {name for name in own if name.endswith(("_low", "_high"))}
    return {
        name: Estimate(value, own.get(f"{name}_low"), own.get(f"{name}_high"))
        for name, value in own.items()
        if name not in bounds
    }


def read_baselines(metrics: dict[str, float], prefix: str) -> dict[str, float]:
    """Restore the accuracy of each baseline of a split from the metrics of `score_metrics`."""
    over = f"{prefix}/gain_over_"
    names = [name.removeprefix(over) for name in metrics if name.startswith(over)]
    accuracies = {name: metrics.get(f"{prefix}/{name}_accuracy") for name in names}
    return {name: accuracy for name, accuracy in accuracies.items() if accuracy is not None}


def differences(now: dict[str, float], tracked: dict[str, float]) -> list[str]:
    """List the metrics that do not equal the tracked ones exactly, one sentence each; a missing one counts."""
    splits = {prefix: split for split, prefix in SPLIT_PREFIX.items()}
    out = []
    for name, value in now.items():
        if tracked.get(name) != value:
            prefix, figure = name.split("/")
            out.append(f"{splits[prefix]} {figure}: tracked {tracked.get(name)}, now {value}")
    return out


def flatten(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested settings to one dict with dotted keys."""
    out: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            out |= flatten(value, f"{prefix}{key}.")
        else:
            out[prefix + key] = value
    return out
