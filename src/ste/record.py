"""What a run leaves behind: its result, the files in its folder, and what is tracked of them."""

import json
import shutil
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from ste.data.datamodule import TrendDataModule
from ste.data.files import whole_file
from ste.errors import RunError
from ste.evaluation.scores import SplitScores
from ste.plots import confusion_figure
from ste.schema import CLASS_NAMES, DIRECTION
from ste.training.module import TrendModule

SPLIT_PREFIX = {"train": "final_train", "validation": "final_validation", "test": "final_test"}
"""Metric prefix of each split's figures at the best checkpoint."""


@dataclass(frozen=True)
class TrainResult:
    """What a training run ends with; `summary.json` holds the same.

    Attributes:
        run_id: MLflow's, or None where tracking is off.
        model: net's class name.
        parameters: trainable ones.
        epochs: trained; best_epoch: the one whose weights are kept, from 0.
        monitor: the figure that chose it, and its value.
        monitored: value of `monitor` on validation at the best epoch.
        fit_seconds: of the fit alone.
        data_digest: of the tables.
        trials: runs so far of the same experiment on the same data, this one included.
        scores: by split.
        folder: where `summary.json`, the figures and (without tracking) the checkpoint lie.
        module: the trained model, on the CPU; card: of its tables. Neither is in the summary.
    """

    run_id: str | None
    model: str
    parameters: int
    epochs: int
    best_epoch: int
    monitor: str
    monitored: float
    fit_seconds: float
    data_digest: str
    trials: int
    scores: dict[str, SplitScores]
    folder: Path
    module: TrendModule
    card: dict[str, Any]

    def summary(self) -> dict[str, Any]:
        """Plain dict: `metrics` by split, and everything else by its name."""
        out = {field.name: getattr(self, field.name) for field in fields(self)}
        del out["module"], out["card"]
        out["folder"] = str(self.folder)
        out["scores"] = {split: scores.plain() for split, scores in self.scores.items()}
        out["metrics"] = {split: scores.metrics for split, scores in self.scores.items()}
        return out


def trials(run: Any, digest: str) -> int:
    """Runs so far of the same experiment on the same data, this one included; 1 without tracking."""
    if not run:
        return 1
    from ste.tracking.find import count_trials

    return count_trials(run.client, run.id, digest)


def write_inputs(folder: Path, config: dict[str, Any], data: TrendDataModule) -> None:
    """Configuration and data card, into the run's folder."""
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    (folder / "data_card.json").write_text(json.dumps(data.prepared.card, indent=2) + "\n")


def track_inputs(run: Any, folder: Path, data: TrendDataModule) -> None:
    """Configuration, data card and tables, once; a resumed run must be on the same data."""
    from ste.tracking.run import DIGEST_TAG

    digest = run.tag(DIGEST_TAG)
    if digest is not None:  # a resumed run
        if digest != data.prepared.digest:
            raise RunError(
                f"resume={run.id}: the tables have digest {data.prepared.digest}, the run began on {digest}. "
                "Put the files back as they were, or train anew."
            )
        return
    run.log_file(folder / "config.yaml")
    run.log_file(folder / "data_card.json")
    for split, path in data.prepared.files.items():
        rows = data.store.frame[data.store.frame["split"] == list(SPLIT_PREFIX).index(split)]
        digest = data.prepared.card["files"][split]["sha256"]
        run.log_dataset(rows.drop(columns="split"), path, digest, split, DIRECTION)
    # Last: the tag says that all of it is there.
    run.set_tags({"data.source": data.settings.source, DIGEST_TAG: data.prepared.digest})


def write_outputs(folder: Path, result: TrainResult) -> None:
    """Confusion matrices and summary, into the run's folder."""
    confusion = folder / "confusion"
    confusion.mkdir(exist_ok=True)
    for split, scores in result.scores.items():
        title = f"{result.model}, {split}: accuracy {scores.metrics['accuracy']:.1%} of {scores.examples:,}"
        confusion_figure(scores.confusion, CLASS_NAMES, title).savefig(confusion / f"{split}.png", dpi=110)
        header = "true\\predicted," + ",".join(CLASS_NAMES)
        rows = [f"{name},{','.join(map(str, row))}" for name, row in zip(CLASS_NAMES, scores.confusion, strict=True)]
        (confusion / f"{split}.csv").write_text("\n".join([header, *rows]) + "\n")
    with whole_file(folder / "summary.json") as partial:
        partial.write_text(json.dumps(result.summary(), indent=2, allow_nan=False) + "\n")


def track_outputs(
    run: Any, folder: Path, result: TrainResult, module: TrendModule, data: TrendDataModule, best: Path
) -> None:
    """Final figures, the best checkpoint, summary, confusion matrices and the model."""
    from ste.tracking.model import log_model

    flat: dict[str, float] = {"best_epoch": result.best_epoch, "fit_seconds": result.fit_seconds}
    for split, scores in result.scores.items():
        prefix = SPLIT_PREFIX[split]
        flat |= {f"{prefix}/{name}": value for name, value in scores.metrics.items()}
        flat |= {f"{prefix}/examples": scores.examples, f"{prefix}/weeks": scores.weeks}
        flat |= {
            f"{prefix}/accuracy_low": scores.model.interval.low,
            f"{prefix}/accuracy_high": scores.model.interval.high,
        }
        if scores.model.log_loss_interval is not None:
            flat |= {
                f"{prefix}/log_loss_low": scores.model.log_loss_interval.low,
                f"{prefix}/log_loss_high": scores.model.log_loss_interval.high,
            }
        flat |= {f"{prefix}/{name}_accuracy": row.accuracy for name, row in scores.company.items()}
    run.log_metrics({name: value for name, value in flat.items() if np.isfinite(value)}, step=result.best_epoch)
    run.set_tags({"model.parameters": result.parameters, "trials": result.trials})
    upload = best.with_name("best.ckpt")
    shutil.copyfile(best, upload)
    run.log_file(upload, "checkpoints")
    run.log_file(folder / "summary.json")
    for path in sorted((folder / "confusion").iterdir()):
        run.log_file(path, "confusion")
    example = data.datasets["test" if "test" in data.datasets else "validation"][torch.arange(2)].features.numpy()
    log_model(run.id, module, example)


def flatten(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as one dict with dotted keys."""
    out: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            out |= flatten(value, f"{prefix}{key}.")
        else:
            out[prefix + key] = value
    return out
