"""A tracked run as what is exported of it: fitted models, how they are combined, and its data."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ste.baselines import Majority
from ste.baselines.base import FeatureBaseline
from ste.baselines.fitted_baseline import FittedBaseline
from ste.config import PathSettings, TrainSettings
from ste.config.load import load_settings
from ste.data.datamodule import TrendDataModule
from ste.ensembles.pooling import Combination, Pool, Stacking
from ste.errors import RunError
from ste.experiment.artifacts import CHECKPOINT
from ste.experiment.run import last_data
from ste.inference.export.graph import Members, graph_of
from ste.seed_ensembles.replica_module import ReplicaModule
from ste.training.fit import Model, load_model, name_of, view_of


@dataclass(frozen=True)
class Part:
    """One fitted model and how it reads.

    Attributes:
        model: fitted.
        settings: of the run that fitted it.
        title: to print.
    """

    model: Model
    settings: TrainSettings
    title: str

    @property
    def length(self) -> int | None:
        """Periods that it reads; None is one row without a dimension of time."""
        sequence = view_of(self.settings.model) == "sequence"
        return int(self.settings.data.sequence_length) if sequence else None

    def chances(self, features: torch.Tensor) -> np.ndarray:
        """Probabilities `[B, C]` by PyTorch (a baseline's own code) of raw features as it reads them."""
        if not isinstance(self.model, FittedBaseline):
            return self.model.probabilities(features).numpy()
        baseline = self.model.baseline
        if isinstance(baseline, Majority):
            return np.tile(baseline.frequencies, (len(features), 1))
        assert isinstance(baseline, FeatureBaseline)  # no other baseline has a graph
        with torch.no_grad():
            return baseline.predict_window(self.model.representation(features).numpy())


@dataclass(frozen=True)
class Source:
    """What a served model is made of.

    Attributes:
        parts: one, or an ensemble's members in order.
        combination: of the members; None for a single model.
        data: the cut of the data that the longest window is read from.
        name: class name of the model.
        made_of: in words, for the card.
    """

    parts: list[Part]
    combination: Combination | None
    data: TrendDataModule
    name: str
    made_of: str

    @property
    def flat(self) -> bool:
        """Whether it reads rows `[B, F]`."""
        return all(part.length is None for part in self.parts)

    @property
    def graph(self) -> nn.Module:
        """Raw features to probabilities, to be traced."""
        graphs = [graph_of(part.model) for part in self.parts]
        if self.combination is None:
            return graphs[0]
        lengths = [part.length for part in self.parts]
        return Members(graphs, lengths, self.combination, flat=self.flat).eval()

    def chances(self, features: torch.Tensor) -> np.ndarray:
        """Probabilities `[B, C]` of raw features as the graph reads them, without the graph."""
        if self.combination is None:
            return self.parts[0].chances(features)
        own = [features if self.flat else _own(features, part.length) for part in self.parts]
        said = [part.chances(x).astype(np.float64) for part, x in zip(self.parts, own, strict=True)]
        return self.combination(np.stack(said))


def _own(features: torch.Tensor, length: int | None) -> torch.Tensor:
    return features[:, -1] if length is None else features[:, -length:]


def read_source(client: Any, found: Any, paths: PathSettings, folder: Path) -> Source:
    """Checkpoints and data of a finished run.

    Args:
        client: of the store.
        found: the run.
        paths: where the data lies now.
        folder: for downloads.

    Raises:
        SteError: an unfinished run, one without a checkpoint, or data that is not what it was.
    """
    from ste.tracking.run_info import DIGEST_TAG, ENSEMBLE_TAG

    if found.status != "FINISHED":
        what = "Make it anew" if ENSEMBLE_TAG in found.tags else f"Try python -m ste.train resume={found.id}"
        raise RunError(f"run={found.id}: it is {found.status}. Expected a FINISHED run. {what}, or run=best.")
    read = _ensemble if ENSEMBLE_TAG in found.tags else _single
    source = read(client, found, asdict(paths), folder)
    digest, trained = source.data.panel.prepared.digest, found.tags.get(DIGEST_TAG, "")
    if digest != trained:
        raise RunError(
            f"run={found.id}: the tables have digest {digest}, it was trained on {trained}: the files or the code that "
            "builds them changed since. Put the files back, or train again."
        )
    return source


def _single(client: Any, found: Any, paths: dict[str, str], folder: Path) -> Source:
    from ste.tracking.run_info import find_children
    from ste.tracking.run_lookup import download, read_config

    settings = load_settings(TrainSettings, {**read_config(client, found), "paths": paths})
    data, fold = last_data(settings)
    holder = found if fold is None else find_children(client, found.id).get(fold)
    if holder is None:
        raise RunError(f"run={found.id}: its last fold was deleted, which held its model. Train anew.")
    part = _part(download(client, holder, CHECKPOINT, folder), settings)
    words = [_replicas(part.model)] if isinstance(part.model, ReplicaModule) else []
    if fold is not None:
        words.append(f"the model of fold {fold + 1}, the last")
    return Source([part], None, data, part.title, ", ".join(words))


def _ensemble(client: Any, found: Any, paths: dict[str, str], folder: Path) -> Source:
    from ste.ensembles.members import NAME, Kept

    kept = Kept.read(client, found, folder)
    parts = [
        _part(member.checkpoints[-1], load_settings(TrainSettings, {**member.config, "paths": paths}), member.title)
        for member in kept.members
    ]
    check_features(parts)
    combinations = {int(fold): content for fold, content in kept.content["combinations"].items()}
    combination = _combination(combinations[max(combinations)])
    longest = max(parts, key=lambda part: part.length or 0)
    data, fold = last_data(longest.settings)
    listed = ", ".join(f"{part.title} {weight:.2f}" for part, weight in zip(parts, combination.weights, strict=True))
    word = "exponents" if isinstance(combination, Stacking) else "weights"
    of_fold = "" if fold is None else f", the models of fold {fold + 1}, the last"
    return Source(parts, combination, data, NAME, f"{kept.method} of {len(parts)} members, {word}: {listed}{of_fold}")


def check_features(parts: Sequence[Part]) -> None:
    """Raise unless all members read the same columns.

    Raises:
        RunError: they do not, and one input cannot serve them all.
    """
    first = parts[0]
    for part in parts[1:]:
        own, expected = part.model.representation.columns, first.model.representation.columns
        if own != expected:
            raise RunError(
                f"{part.title} reads {len(own)} features ({own[0]}, ...), {first.title} {len(expected)} "
                f"({expected[0]}, ...). A served ensemble has one input: expected members of one data.features."
            )


def _part(checkpoint: Path, settings: TrainSettings, title: str | None = None) -> Part:
    try:
        model = load_model(checkpoint)
    except Exception as error:  # of torch's reader or of ours, as the damage goes
        reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise RunError(
            f"{checkpoint.name} of {title or name_of(settings.model)} cannot be read ({reason}): it was damaged, or "
            "made by another version of the project. Train anew."
        ) from None
    return Part(model, settings, title or name_of(settings.model))


def _replicas(module: ReplicaModule) -> str:
    first, last = module.seeds[0], module.seeds[-1]
    weighted = ", weighted by validation log-loss" if module.hparams["replicas"]["weighting"] == "validation" else ""
    return f"{module.count} replicas of seeds {first} to {last}, the mean of their probabilities{weighted}"


def _combination(content: dict[str, Any]) -> Combination:
    """As `members.json` keeps it."""
    if "weights" in content:
        return Pool(np.array(content["weights"]))
    return Stacking(np.array(content["coefficients"]), np.array(content["intercept"]))
