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
from ste.evaluation.classification import per_class_name
from ste.evaluation.explain.group_value import GroupValue
from ste.evaluation.portfolio.positions import FILE_NAME, write_positions
from ste.evaluation.predictions import BAYES
from ste.evaluation.scorecard import Estimate, Scorecard
from ste.evaluation.temperature import Calibration
from ste.experiment.train_result import Result
from ste.market.calendar import trading_calendar
from ste.reporting.formatting import LABELS
from ste.reporting.plots.figures import confusion_figure

SPLIT_PREFIX = {"train": "final_train", "validation": "final_validation", "test": "final_test"}
"""Prefix of each split's metrics at the selected epoch."""

WITH_INTERVAL = ("accuracy", "log_loss", "mcc", "direction_auroc", "portfolio_sharpe")
"""Figures that are tracked with the ends of their interval: the columns of the leaderboard."""

SUMMARY_ONLY = frozenset(
    {
        *("precision", "recall", "f1", "balanced_accuracy", "expected_accuracy", "bayes_expected_accuracy"),
        *("move_accuracy", "move_mcc", "direction_accuracy", "direction_mcc"),
        *("ic_std", "ic_ir", "ic_t", "rank_ic_std", "rank_ic_ir", "rank_ic_t"),
        *("portfolio_hit_rate", "portfolio_volatility", "portfolio_turnover", "portfolio_sortino", "portfolio_calmar"),
        *("portfolio_value_at_risk", "portfolio_expected_shortfall", "portfolio_profit_factor", "portfolio_exposure"),
        *("portfolio_time_in_market", "portfolio_alpha", "portfolio_beta"),
    }
)
"""Figures that are not metrics of the run: they add little to a tracked one."""

PREDICTIONS = "predictions.parquet"
SUMMARY = "summary.json"
POSITIONS = FILE_NAME
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
    _write_positions(folder, result)
    with atomic_file(folder / SUMMARY) as partial:  # JSON cannot hold numbers that are not finite
        partial.write_bytes(pydantic_core.to_json(result.summary(), indent=2, inf_nan_mode="null") + b"\n")


def _write_positions(folder: Path, result: Result) -> None:
    """Write the positions after the last entry of the test split, or of validation; none without a portfolio."""
    card = result.scores.get("test", result.scores.get("validation"))
    if card is not None and card.portfolio is not None and card.portfolio.positions:
        portfolio, calendar = card.portfolio, trading_calendar(result.predictions.calendar)
        path = folder / POSITIONS
        write_positions(path, portfolio.positions, portfolio.dates[-1], portfolio.execution, calendar)


def read_group_values(summary: Path) -> list[GroupValue]:
    """Read what groups of columns are worth from a run's summary; none of an ensemble."""
    return [GroupValue.from_dict(one) for one in json.loads(summary.read_text()).get("groups", [])]


def read_calibrations(summary: Path) -> list[Calibration | None]:
    """Read the calibration of each fold's net from a run's summary; none of an ensemble or an earlier run."""
    return [Calibration.from_dict(one) for one in json.loads(summary.read_text()).get("calibrations", [])]


def score_metrics(scores: dict[str, Scorecard]) -> dict[str, float]:
    """Flatten scores to the tracked metrics, those that runs are compared by; `summary.json` holds all of them.

    Of the training split they are the figures with an interval elsewhere; of the other splits each figure that is not
    in `SUMMARY_ONLY` and not of one class, the interval of those in `WITH_INTERVAL`, and the accuracy of each baseline.
    """
    flat: dict[str, float] = {}
    for split, card in scores.items():
        prefix = SPLIT_PREFIX[split]
        flat |= {f"{prefix}/examples": card.examples, f"{prefix}/periods": card.periods}
        for name, figure in card.figures.items():
            if name not in (WITH_INTERVAL if split == "train" else _tracked(card)):
                continue
            flat[f"{prefix}/{name}"] = figure.value
            if split != "train" and name in WITH_INTERVAL and figure.low is not None and figure.high is not None:
                flat |= {f"{prefix}/{name}_low": figure.low, f"{prefix}/{name}_high": figure.high}
        if split != "train":
            flat |= {f"{prefix}/{name}_accuracy": by["accuracy"].value for name, by in card.baselines.items()}
    return {name: value for name, value in flat.items() if np.isfinite(value)}


def _tracked(card: Scorecard) -> set[str]:
    """The figures of a split that are metrics of the run."""
    classes = tuple(per_class_name("", name) for name in card.classes)
    return {name for name in card.figures if name not in SUMMARY_ONLY and not name.endswith(classes)}


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
    start, end = f"{prefix}/", "_accuracy"
    own = {name.removeprefix(start): value for name, value in metrics.items() if name.startswith(start)}
    return {
        name.removesuffix(end): value
        for name, value in own.items()
        if name.endswith(end) and name not in LABELS and name != f"{BAYES}{end}"  # the model's own, and the optimum's
    }


def differences(now: dict[str, float], tracked: dict[str, float]) -> list[str]:
    """List the metrics that do not equal the tracked ones exactly, one sentence each; a missing one counts."""
    splits = {prefix: split for split, prefix in SPLIT_PREFIX.items()}
    out = []
    for name, value in now.items():
        if tracked.get(name) != value:
            prefix, figure = name.split("/")
            out.append(f"{splits[prefix]} {figure}: tracked {tracked.get(name)}, now {value}")
    return out
