"""Tracked runs made one: their ensemble, scored beside them, judged and tracked."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from ste.config import EnsembleSettings, TrainSettings
from ste.data.storage.files import atomic_file
from ste.ensembles.members import FOLDER, MEMBERS, NAME, Member
from ste.ensembles.pooling import BLOCKS, Combined, beside_members, combine
from ste.evaluation.predictions import Predictions
from ste.evaluation.scorecard import Estimate, Gain, Scorecard, without_baselines
from ste.evaluation.significance import TESTED
from ste.evaluation.verdict import Verdict
from ste.experiment.artifacts import track_result, write_outputs
from ste.experiment.run import scores_of, trials_of, verdict_of

TABLE = "members.csv"

_HOW = {
    "average": "Mean of the members' probabilities",
    "validation": "Mean of the members' probabilities, weighted by their gain on majority's validation log-loss",
    "stacked": "Logistic regression on the members' log-probabilities",
}
_TABLED = ("accuracy", "log_loss", "mcc", "auroc")


@dataclass(frozen=True)
class EnsembleResult:
    """What making an ensemble ends with; `summary.json` holds the same.

    Attributes:
        run_id: MLflow's.
        model: name to print.
        method: of combining.
        members: titles, in order.
        weights: of each member, mean over folds; of a stacked one, exponents.
        best_member: title of the one with the lowest validation log-loss.
        over_best: gains over it on the test split (or validation's), by figure.
        fitted_loss: log-loss on the validation rows that were learnt from; None where nothing was learnt.
        parameters: of all members.
        validation: of the members, `holdout` or in folds.
        data_digest: of the tables.
        trials: runs so far of the same experiment on the same data, this one included.
        scores: by split; `beside`: the same with the members as further baselines, not in the summary.
        verdict: on the test split, against the usual baselines.
        folder: where its files lie.
        predictions: validation and test rows, not in the summary.
    """

    run_id: str
    model: str
    method: str
    members: list[str]
    weights: list[float]
    best_member: str
    over_best: dict[str, Gain]
    fitted_loss: float | None
    parameters: int
    validation: str
    data_digest: str
    trials: int
    scores: dict[str, Scorecard]
    beside: dict[str, Scorecard]
    verdict: Verdict
    folder: Path
    predictions: Predictions

    @property
    def told(self) -> str:
        """How the members are weighed, what that rests on, and what it gains over the best of them, in words."""
        word = "exponents" if self.method == "stacked" else "weights"
        listed = ", ".join(f"{name} {weight:.2f}" for name, weight in zip(self.members, self.weights, strict=True))
        out = [f"{_HOW[self.method]}, {word}: {listed}."]
        validation = self.scores["validation"]
        if self.fitted_loss is not None:
            out.append(
                f"They are learnt from the validation rows. Its validation figures are cross-fitted over {BLOCKS} "
                f"blocks of whole {validation.unit}s: log-loss {validation.figures['log_loss'].value:.4f}, while on "
                f"the rows learnt from it is {self.fitted_loss:.4f}, which flatters."
            )
        split = "test" if "test" in self.scores else "validation"
        gains = [
            f"{TESTED[name]} {gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]"
            for name, gain in self.over_best.items()
            if name in TESTED
        ]
        return " ".join(
            [
                *out,
                "Its members' epochs were chosen on validation rows.",
                f"Gain over its best member by validation, {self.best_member}, on {split}: {', '.join(gains)}.",
            ]
        )

    def summary(self) -> dict[str, Any]:
        """Plain dict: `metrics` by split, and everything else by its name."""
        kept = [field.name for field in fields(self) if field.name not in ("predictions", "beside")]
        out = {name: getattr(self, name) for name in kept}
        out["folder"] = str(self.folder)
        out["over_best"] = {name: asdict(gain) for name, gain in self.over_best.items()}
        out["scores"] = {split: card.to_dict() for split, card in self.scores.items()}
        out["metrics"] = {split: card.metrics for split, card in self.scores.items()}
        out["verdict"] = {"word": self.verdict.word, "paragraph": self.verdict.paragraph, "tags": self.verdict.tags}
        return out


def make_ensemble(
    settings: EnsembleSettings,
    config: dict[str, Any],
    runs: Sequence[Any],
    members: Sequence[Member],
    said: Sequence[Predictions],
    first: TrainSettings,
    client: Any,
    folder: Path,
) -> EnsembleResult:
    """Combine, score, judge and track.

    Args:
        settings: everything that decides the ensemble.
        config: the same as plain data, with the members' ids for `runs`.
        runs: tracked runs of the members.
        members: of the same runs.
        said: predictions of each.
        first: settings of the first member, whose way of scoring is the ensemble's too.
        client: of the store.
        folder: the run's own folder.
    """
    from ste.tracking.run_info import DIGEST_TAG, ENSEMBLE_TAG
    from ste.tracking.run_lookup import DATA_CARD, download
    from ste.tracking.tracked_run import tracked_run

    combined = combine(said, settings.method, settings.C, NAME)
    ids = ",".join(config["runs"])
    tags = {
        "mlflow.source.name": "ste.ensemble",
        "command": f"python -m ste.ensemble 'runs=[{ids}]' method={settings.method} C={settings.C}",
        "ensemble.method": settings.method,
        ENSEMBLE_TAG: ids,
    }
    name = settings.tracking.run_name or f"{settings.method} of {', '.join(member.title for member in members)}"
    weights = {f"weight.{member.run_id}": w for member, w in zip(members, combined.weights.tolist(), strict=True)}
    params = {"members": ids, "method": settings.method, "C": settings.C, **weights}
    with tracked_run(settings.tracking, Path(settings.paths.output), name, params, tags=tags) as run:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
        run.log_file(folder / "config.yaml")
        run.log_file(download(client, runs[0], DATA_CARD, folder))
        client.log_inputs(run.id, client.get_run(runs[0].id).inputs.dataset_inputs)
        digest = runs[0].tags.get(DIGEST_TAG, "")
        run.set_tags({key: value for key, value in runs[0].tags.items() if key.startswith("data.")})
        result = _result(settings, members, said, first, combined, digest, run, folder)
        write_outputs(folder, result)
        write_members(folder, members, combined, result)
        run.log_file(folder / MEMBERS)
        run.log_file(folder / TABLE)
        for member in members:
            for path in [member.checkpoints[0].with_name("config.yaml"), *member.checkpoints]:
                run.log_file(path, f"{FOLDER}/{member.run_id}")
        track_result(run, folder, result)
    return result


def _result(
    settings: EnsembleSettings,
    members: Sequence[Member],
    said: Sequence[Predictions],
    first: TrainSettings,
    combined: Combined,
    digest: str,
    run: Any,
    folder: Path,
) -> EnsembleResult:
    titles = [member.title for member in members]
    beside = scores_of(first.scoring, beside_members(combined.predictions, dict(zip(titles, said, strict=True))))
    scores = {split: without_baselines(card, titles) for split, card in beside.items()}
    best = min(titles, key=lambda title: beside["validation"].baselines[title]["log_loss"].value)
    trials = trials_of(run, digest, scores)
    return EnsembleResult(
        run_id=run.id,
        model=combined.predictions.model,
        method=settings.method,
        members=titles,
        weights=combined.weights.tolist(),
        best_member=best,
        over_best=beside["test" if "test" in beside else "validation"].gains[best],
        fitted_loss=combined.fitted_loss,
        parameters=sum(member.parameters for member in members),
        validation=first.validation.method,
        data_digest=digest,
        trials=trials.count,
        scores=scores,
        beside=beside,
        verdict=verdict_of(first, scores, combined.predictions, trials),
        folder=folder,
        predictions=combined.predictions,
    )


def write_members(folder: Path, members: Sequence[Member], combined: Combined, result: EnsembleResult) -> None:
    """`members.json`, all that makes the ensemble out of checkpoints, and `members.csv`, its members' figures."""
    entries, rows = [], []
    for member, weight in zip(members, result.weights, strict=True):
        figures = {split: card.baselines[member.title] for split, card in result.beside.items()}
        entries.append(
            {
                "run_id": member.run_id,
                "name": member.name,
                "model": member.model,
                "command": member.command,
                "parameters": member.parameters,
                "weight": weight,
                "config": f"{FOLDER}/{member.run_id}/config.yaml",
                "checkpoints": [f"{FOLDER}/{member.run_id}/{path.name}" for path in member.checkpoints],
                "figures": {split: _plain(row) for split, row in figures.items()},
            }
        )
        row = {"run_id": member.run_id, "name": member.name, "model": member.model, "weight": weight}
        for split, known in figures.items():
            for name in (name for name in _TABLED if name in known):
                row |= {f"{split}_{name}": known[name].value}
                row |= {f"{split}_{name}_low": known[name].low, f"{split}_{name}_high": known[name].high}
        rows.append(row)
    content = {
        "method": result.method,
        "classes": list(result.predictions.classes),
        "told": result.told,
        "best_member": result.best_member,
        "over_best": {name: asdict(gain) for name, gain in result.over_best.items()},
        "combinations": {str(fold): one.plain() for fold, one in combined.by_fold.items()},
        "members": entries,
    }
    with atomic_file(folder / MEMBERS) as partial:
        partial.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")
    pd.DataFrame(rows).to_csv(folder / TABLE, index=False)


def _plain(figures: dict[str, Estimate]) -> dict[str, Any]:
    return {name: asdict(figures[name]) for name in _TABLED if name in figures}
