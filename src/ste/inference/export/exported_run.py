"""Load a tracked run for its export: the fitted models, how they are combined, and the data."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from ste.baselines import Majority
from ste.baselines.base import FeatureBaseline
from ste.baselines.fitted_baseline import FittedBaseline
from ste.config import PathSettings
from ste.data.datamodule import TrendDataModule
from ste.ensembles.pooling import Combination, Pool, Stacking
from ste.errors import RunError
from ste.experiment.model_setup import load_model
from ste.experiment.run import parts_from_config
from ste.experiment.run_parts import RunParts
from ste.experiment.stored_run import download_last
from ste.inference.export.graph import EnsembleGraph, model_graph, slice_window
from ste.seed_ensembles.replica_module import ReplicaModule
from ste.tracking.run_protocol import RunStore
from ste.training.fit import Model

if TYPE_CHECKING:
    from ste.tracking.run_info import RunInfo


@dataclass(frozen=True)
class ExportedMember:
    """One fitted model of a run.

    Attributes:
        model: fitted.
        run: parts of the run that fitted it.
        title: to print.
    """

    model: Model
    run: RunParts
    title: str

    @property
    def length(self) -> int | None:
        """Periods that it reads; None is one row without a time dimension."""
        data = self.run.data
        return data.settings.sequence_length if data.view == "sequence" else None

    @property
    def sees_market(self) -> bool:
        """Whether it reads the dates of the examples too."""
        return not isinstance(self.model, FittedBaseline) and self.model.sees_market

    def predict_proba(self, features: torch.Tensor, group: torch.Tensor | None = None) -> np.ndarray:
        """Predict probabilities `[B, C]` from raw features as the model reads them, by PyTorch or a baseline's code."""
        if not isinstance(self.model, FittedBaseline):
            return self.model.probabilities(features, group).numpy()
        baseline = self.model.baseline
        if isinstance(baseline, Majority):
            return np.tile(baseline.frequencies, (len(features), 1))
        assert isinstance(baseline, FeatureBaseline)  # no other baseline has a graph
        with torch.no_grad():
            return baseline.predict_window(self.model.representation(features).numpy())


@dataclass(frozen=True)
class ExportedRun:
    """A run as it is exported.

    Attributes:
        members: one model, or those of an ensemble in order.
        combination: of the members; None for a single model.
        data: the data split that the longest window is read from.
        name: class name of the model.
        made_of: description of the members for the card; empty for a single net.
    """

    members: list[ExportedMember]
    combination: Combination | None
    data: TrendDataModule
    name: str
    made_of: str

    @property
    def flat(self) -> bool:
        """Whether it reads rows `[B, F]`."""
        return all(member.length is None for member in self.members)

    @property
    def sees_market(self) -> bool:
        """Whether it reads the dates of the examples too."""
        return any(member.sees_market for member in self.members)

    @property
    def calibration(self) -> str:
        """Temperature of the model, or of each member that has one, for the card; empty without."""
        known = {
            member.title: str(member.model.calibration)
            for member in self.members
            if not isinstance(member.model, FittedBaseline) and member.model.calibration is not None
        }
        if self.combination is None:
            return "".join(known.values())
        return "; ".join(f"{title}: {text}" for title, text in known.items())

    @property
    def graph(self) -> nn.Module:
        """The module to trace: raw features, and dates where it reads them, to probabilities."""
        graphs = [model_graph(member.model) for member in self.members]
        if self.combination is None:
            return graphs[0]
        market = [member.sees_market for member in self.members]
        return EnsembleGraph(graphs, [member.length for member in self.members], self.combination, market).eval()

    def predict_proba(self, features: torch.Tensor, group: torch.Tensor | None = None) -> np.ndarray:
        """Predict probabilities `[B, C]` from the same inputs as the graph, without the graph."""
        if self.combination is None:
            return self.members[0].predict_proba(features, group)
        probs = [member.predict_proba(slice_window(features, member.length), group) for member in self.members]
        return self.combination(np.stack(probs).astype(np.float64))


def load_run(client: RunStore, run: "RunInfo", paths: PathSettings, folder: Path) -> ExportedRun:
    """Load the checkpoints and the data of a finished run.

    Args:
        client: of the store.
        run: to load.
        paths: folders of the data and the outputs.
        folder: for downloads.

    Raises:
        SteError: an unfinished run, one without a checkpoint, or data that changed since the training.
    """
    from ste.tracking.run_info import ENSEMBLE_TAG

    ensemble = ENSEMBLE_TAG in run.tags
    if run.status != "FINISHED":
        what = "Combine it again" if ensemble else f"Try python -m ste.train resume={run.id}"
        raise RunError(f"run={run.id}: it is {run.status}. Expected a FINISHED run. {what}, or run=best.")
    return (_load_ensemble if ensemble else _load_single)(client, run, paths, folder)


def _load_single(client: RunStore, run: "RunInfo", paths: PathSettings, folder: Path) -> ExportedRun:
    from ste.tracking.run_info import DIGEST_TAG
    from ste.tracking.run_lookup import read_config

    parts = parts_from_config(read_config(client, run), paths)
    parts.data.check_digest(run.tags.get(DIGEST_TAG, ""))
    _, fold = parts.data.last()
    return trained_run(_load_member(download_last(client, run, fold, folder), parts).model, parts)


def trained_run(model: Model, parts: RunParts) -> ExportedRun:
    """Return the fitted model of a run, of folds the last one's, for its export.

    Args:
        model: fitted.
        parts: of the run.
    """
    data, fold = parts.data.last()
    member = ExportedMember(model, parts, parts.builder.name)
    made_of = [_describe_replicas(model)] if isinstance(model, ReplicaModule) else []
    if fold is not None:
        made_of.append(f"the model of fold {fold + 1}, the last")
    return ExportedRun([member], None, data, member.title, ", ".join(made_of))


def _load_ensemble(client: RunStore, run: "RunInfo", paths: PathSettings, folder: Path) -> ExportedRun:
    from ste.ensembles.members import NAME, StoredEnsemble
    from ste.tracking.run_info import DIGEST_TAG

    stored = StoredEnsemble.from_run(client, run, folder)
    members = [
        _load_member(member.checkpoints[-1], parts_from_config(member.config, paths), member.title)
        for member in stored.members
    ]
    check_features(members)
    combinations = {int(fold): content for fold, content in stored.content["combinations"].items()}
    combination = _read_combination(combinations[max(combinations)])
    longest = max(members, key=lambda member: member.length or 0)
    longest.run.data.check_digest(run.tags.get(DIGEST_TAG, ""))
    data, fold = longest.run.data.last()
    weights = zip(members, combination.weights, strict=True)
    listed = ", ".join(f"{member.title} {weight:.2f}" for member, weight in weights)
    word = "exponents" if isinstance(combination, Stacking) else "weights"
    of_fold = "" if fold is None else f", the models of fold {fold + 1}, the last"
    made_of = f"{stored.method} of {len(members)} members, {word}: {listed}{of_fold}"
    return ExportedRun(members, combination, data, NAME, made_of)


def check_features(members: Sequence[ExportedMember]) -> None:
    """Raise `RunError` unless all members read the same columns, since a served ensemble has one input."""
    first = members[0]
    for member in members[1:]:
        own, expected = member.model.representation.forms.names, first.model.representation.forms.names
        if own != expected:
            raise RunError(
                f"{member.title} reads {len(own)} features ({own[0]}, ...), {first.title} {len(expected)} "
                f"({expected[0]}, ...). A served ensemble has one input: expected members of one data.features."
            )


def _load_member(checkpoint: Path, run: RunParts, title: str | None = None) -> ExportedMember:
    title = title or run.builder.name
    try:
        model = load_model(checkpoint)
    except Exception as error:  # torch's reader and ours raise many kinds for a damaged file
        reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise RunError(
            f"{checkpoint.name} of {title} cannot be read ({reason}): it was damaged, or another version of the "
            "project wrote it. Train again."
        ) from None
    return ExportedMember(model, run, title)


def _describe_replicas(module: ReplicaModule) -> str:
    first, last = module.seeds[0], module.seeds[-1]
    weighted = ", weighted by validation log-loss" if module.hparams["replicas"]["weighting"] == "validation" else ""
    return f"{module.count} replicas of seeds {first} to {last}, the mean of their probabilities{weighted}"


def _read_combination(content: dict[str, Any]) -> Combination:
    """Read a combination of `members.json`."""
    if "weights" in content:
        return Pool(np.array(content["weights"]))
    return Stacking(np.array(content["coefficients"]), np.array(content["intercept"]))
