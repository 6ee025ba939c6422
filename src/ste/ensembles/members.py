"""The members of an ensemble: their settings and checkpoints.

An ensemble's run holds copies of both, so that it does not depend on the members' runs, and is evaluated from
checkpoints and data like any run.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ste.config import PathSettings
from ste.ensembles.pooling import combine
from ste.ensembles.same_rows import check_same_rows
from ste.errors import RunError
from ste.evaluation.predictions import Predictions
from ste.experiment.artifacts import PREDICTIONS
from ste.experiment.prediction import OUT_OF_SAMPLE
from ste.experiment.run import parts_from_config
from ste.experiment.stored_run import download_checkpoints, predict_checkpoints
from ste.tracking.run_protocol import RunStore

if TYPE_CHECKING:
    from ste.tracking.run_info import RunInfo

MEMBERS = "members.json"
FOLDER = "members"
"""Artifact folder: `members/RUN_ID/` holds the configuration and checkpoints of each member."""

NAME = "Ensemble"
STORED = ("run_id", "name", "model", "command", "parameters")
"""Attributes of a member in `members.json`."""


@dataclass(frozen=True)
class Member:
    """A tracked run as a part of an ensemble.

    Attributes:
        run_id: of the run.
        name: of the run.
        model: class name.
        command: that trained it, or empty.
        parameters: number of trainable parameters.
        config: settings as plain data.
        checkpoints: its best one, or that of each fold in order.
    """

    run_id: str
    name: str
    model: str
    command: str
    parameters: int
    config: dict[str, Any]
    checkpoints: list[Path]

    @property
    def title(self) -> str:
        """Short unique name: the model and the first characters of the ID."""
        return f"{self.model} {self.run_id[:6]}"


def fetch_members(client: RunStore, runs: "Sequence[RunInfo]", folder: Path) -> tuple[list[Member], list[Predictions]]:
    """Download the members and their predictions, and check that they predict the same rows.

    Args:
        client: of the store.
        runs: finished runs from `selection.find_members`.
        folder: for checkpoints, in a folder per member.

    Raises:
        SteError: a run without the artifacts, or with other rows than the first.
    """
    from ste.tracking.run_lookup import download, read_config

    members, predictions = [], []
    for run in runs:
        own = folder / run.id
        own.mkdir(parents=True)
        predictions.append(Predictions.read(download(client, run, PREDICTIONS, own)).slice_split(*OUT_OF_SAMPLE))
        config = read_config(client, run)
        (own / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
        checkpoints = download_checkpoints(client, run, own, in_folds=run.tags["validation"] != "holdout")
        command, size = run.tags.get("command", ""), int(run.tags.get("model.parameters", 0))
        members.append(Member(run.id, run.name, predictions[-1].model, command, size, config, checkpoints))
    check_same_rows({member.run_id: one for member, one in zip(members, predictions, strict=True)})
    return members, predictions


@dataclass(frozen=True)
class StoredEnsemble:
    """An ensemble, read from its tracked run.

    Attributes:
        method: of `pooling.combine`.
        strength: of `pooling.combine`.
        members: with settings and checkpoints.
        content: of `members.json`.
    """

    method: str
    strength: float
    members: list[Member]
    content: dict[str, Any]

    @classmethod
    def from_run(cls, client: RunStore, run: "RunInfo", folder: Path) -> "StoredEnsemble":
        """Download settings and checkpoints.

        Raises:
            RunError: the run is not FINISHED.
        """
        from ste.tracking.run_lookup import download, read_config

        if run.status != "FINISHED":
            raise RunError(f"run={run.id}: this ensemble is {run.status}. Combine it again: {run.tags['command']}.")
        config = read_config(client, run)
        content = json.loads(download(client, run, MEMBERS, folder).read_text())
        download(client, run, FOLDER, folder)
        members = [
            Member(
                **{name: entry[name] for name in STORED},
                config=yaml.safe_load((folder / entry["config"]).read_text()),
                checkpoints=[folder / path for path in entry["checkpoints"]],
            )
            for entry in content["members"]
        ]
        return cls(config["method"], config["C"], members, content)

    def predict(self, paths: PathSettings, digest: str) -> Predictions:
        """Predict with the members' checkpoints and their data, and fit the combination again.

        Args:
            paths: folders of now.
            digest: of the tables.
        """
        predictions = [
            predict_checkpoints(parts_from_config(member.config, paths), member.checkpoints, digest)
            for member in self.members
        ]
        out_of_sample = [one.slice_split(*OUT_OF_SAMPLE) for one in predictions]
        return combine(out_of_sample, self.method, self.strength, NAME).predictions
