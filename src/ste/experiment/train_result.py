"""The result of a training run."""

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ste.evaluation.explain.group_value import GroupValue
from ste.evaluation.predictions import Predictions
from ste.evaluation.scorecard import Scorecard
from ste.evaluation.temperature import Calibration, calibration_text
from ste.evaluation.verdict import Verdict
from ste.seed_ensembles.replica_scores import ReplicaScores
from ste.training.fit import Fitted
from ste.training.module import TrendModule


@dataclass(frozen=True, kw_only=True)
class Result:
    """The result of a training or of an ensemble; `summary.json` holds the same values.

    Attributes:
        run_id: MLflow's ID, or None where tracking is off.
        model: class name, or `Ensemble`.
        parameters: number of trainable parameters, of an ensemble those of all members.
        data_digest: digest of the tables.
        validation: `holdout`, `walk_forward` or `combinatorial`.
        trials: number of trials on the same data, this one included.
        scores: by split.
        verdict: on the test split, or on validation where there is no test split.
        folder: of `summary.json`, the figures and, without tracking, the checkpoint.
        predictions: of every split that was predicted; not in the summary.
    """

    run_id: str | None
    model: str
    parameters: int
    data_digest: str
    validation: str
    trials: int
    scores: dict[str, Scorecard]
    verdict: Verdict
    folder: Path
    predictions: Predictions

    def summary(self, *without: str) -> dict[str, Any]:
        """Convert to plain values: `metrics` by split, and each attribute by its name.

        Args:
            without: attributes to leave out besides `predictions`.
        """
        left_out = {*without, "predictions"}
        out = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in left_out}
        out["folder"] = str(self.folder)
        out["scores"] = {split: card.to_dict() for split, card in self.scores.items()}
        out["metrics"] = {split: card.metrics for split, card in self.scores.items()}
        out["verdict"] = self.verdict.to_dict() | {"tags": self.verdict.tags}
        return out


@dataclass(frozen=True, kw_only=True)
class TrainResult(Result):
    """The result of a training run.

    Attributes:
        epochs: number of trained epochs; of folds, of the longest fit.
        best_epoch: selected epoch, from 0; of folds, of the last fold.
        monitor: name of the metric that selected the epoch.
        monitored: value of that metric on validation at the selected epoch.
        fit_seconds: duration of the fit alone, summed over folds.
        last: the fitted model, of folds the last one; not in the summary.
        card: data card of the tables; not in the summary.
        replicas: scores of each replica; None for a single net.
        calibrations: of the net of each fold, None where it is not calibrated; empty for a baseline.
        groups: what groups of columns are worth: the user's, or with `scoring.without_groups` all.
    """

    epochs: int
    best_epoch: int
    monitor: str
    monitored: float
    fit_seconds: float
    last: Fitted
    card: dict[str, Any]
    replicas: ReplicaScores | None = None
    groups: list[GroupValue] = field(default_factory=list)
    calibrations: list[Calibration | None] = field(default_factory=list)

    @property
    def module(self) -> TrendModule:
        """The trained net's module, on the CPU."""
        assert isinstance(self.last.model, TrendModule)
        return self.last.model

    @property
    def lines(self) -> list[str]:
        """Facts of the run for the end of the command's output and for the log, one line each."""
        if self.validation != "holdout":
            epochs = f", {self.validation.replace('_', '-')}"
        elif self.replicas is not None:
            epochs = f", {self.epochs} epochs, each replica at its own best one"
        else:
            epochs = f", epoch {self.best_epoch + 1} of {self.epochs}" if self.epochs else ""
        out = [
            f"{self.model}: {self.parameters:,} parameters{epochs}, validation "
            f"{self.monitor.replace('_', '-')} {self.monitored:.4f}, fitted in {self.fit_seconds:.1f} s."
        ]
        if self.replicas is not None:
            split = "test" if "test" in self.scores else "validation"
            mean, deviation = self.replicas.spread(split, "accuracy")
            ensemble = self.scores[split].metrics["accuracy"]
            out.append(
                f"{len(self.replicas.seeds)} replicas: {split} accuracy {100 * mean:.1f} ± {100 * deviation:.1f} % "
                f"over seeds; of the ensemble {100 * ensemble:.1f} %."
            )
        if text := calibration_text(self.calibrations):
            out.append(text)
        luck = ": the best of many is partly luck" if self.trials > 1 else ""
        return [*out, f"Trial {self.trials} on this data{luck}."]

    def summary(self, *without: str) -> dict[str, Any]:
        """Return the content of `summary.json`."""
        out = super().summary(*without, "last", "card", "groups", "calibrations")
        out["groups"] = [one.to_dict() for one in self.groups]
        out["calibrations"] = [None if one is None else one.to_dict() for one in self.calibrations]
        return out | {"replicas": None if self.replicas is None else asdict(self.replicas)}
