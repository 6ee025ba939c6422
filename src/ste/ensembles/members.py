"""The members of an ensemble: fetched from their runs, kept with the ensemble's own, and asked again.

An ensemble keeps its members' settings and checkpoints, so that it stands alone when they are deleted, and is
evaluated as any run is: from checkpoints and data, not from what was said before.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ste.config import TrainSettings
from ste.ensembles.pooling import check_alike, combine
from ste.errors import RunError
from ste.evaluation.predictions import Predictions
from ste.experiment.artifacts import CHECKPOINT, PREDICTIONS
from ste.experiment.run import OUT_OF_SAMPLE, predict_again

MEMBERS = "members.json"
FOLDER = "members"
"""Artifact folder: `members/RUN_ID/config.yaml` and checkpoints for each."""

NAME = "Ensemble"


@dataclass(frozen=True)
class Member:
    """A tracked run as a part of an ensemble.

    Attributes:
        run_id, name, model: of the run.
        command: that trained it, or empty.
        parameters: trainable ones.
        config: its settings as plain data.
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
        """Model and the beginning of the id: short, and no other member's."""
        return f"{self.model} {self.run_id[:6]}"


def fetch_members(client: Any, runs: Sequence[Any], folder: Path) -> tuple[list[Member], list[Predictions]]:
    """What an ensemble needs of tracked runs, checked to speak of the same rows.

    Args:
        client: of the store.
        runs: finished ones (`tracking.members.find_members`).
        folder: for checkpoints; each member's lie under its id.

    Raises:
        SteError: a run without the artifacts, or with other rows than the first.
    """
    from ste.tracking.run_info import find_children
    from ste.tracking.run_lookup import download, read_config

    members, said = [], []
    for run in runs:
        own, partial = folder / run.id, folder / ".partial"
        own.mkdir(parents=True)
        partial.mkdir(exist_ok=True)
        said.append(Predictions.read(download(client, run, PREDICTIONS, partial)).slice_split(*OUT_OF_SAMPLE))
        config = read_config(client, run)
        (own / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
        sources = {"best": run}
        if run.tags.get("validation", "holdout") != "holdout":
            sources = {f"fold-{number}": child for number, child in sorted(find_children(client, run.id).items())}
        kept = []
        for name, source in sources.items():
            kept.append(own / f"{name}.ckpt")
            shutil.move(download(client, source, CHECKPOINT, partial), kept[-1])
        shutil.rmtree(partial)
        command, size = run.tags.get("command", ""), int(run.tags.get("model.parameters", 0))
        members.append(Member(run.id, run.name, said[-1].model, command, size, config, kept))
    check_alike({member.run_id: one for member, one in zip(members, said, strict=True)})
    return members, said


@dataclass(frozen=True)
class Kept:
    """An ensemble read back from its own run.

    Attributes:
        method, strength: as `combine` takes them.
        members: with what they were trained and what is left of them.
        content: of `members.json`.
    """

    method: str
    strength: float
    members: list[Member]
    content: dict[str, Any]

    @classmethod
    def read(cls, client: Any, found: Any, folder: Path) -> "Kept":
        """Download settings and checkpoints.

        Raises:
            RunError: the run is not FINISHED.
        """
        from ste.tracking.run_lookup import download, read_config

        if found.status != "FINISHED":
            raise RunError(f"run={found.id}: this ensemble is {found.status}. Make it anew: {found.tags['command']}.")
        config = read_config(client, found)
        content = json.loads(download(client, found, MEMBERS, folder).read_text())
        download(client, found, FOLDER, folder)
        members = [
            Member(
                run_id=entry["run_id"],
                name=entry["name"],
                model=entry["model"],
                command=entry["command"],
                parameters=entry["parameters"],
                config=yaml.safe_load((folder / entry["config"]).read_text()),
                checkpoints=[folder / path for path in entry["checkpoints"]],
            )
            for entry in content["members"]
        ]
        return cls(config["method"], config["C"], members, content)

    def predict_again(self, settings: Sequence[TrainSettings], digest: str) -> Predictions:
        """The ensemble's predictions from its members' checkpoints and their data; what is learnt is learnt anew.

        Args:
            settings: of each member.
            digest: of the tables.
        """
        said = [
            predict_again(one, member.checkpoints, digest).slice_split(*OUT_OF_SAMPLE)
            for one, member in zip(settings, self.members, strict=True)
        ]
        return combine(said, self.method, self.strength, NAME).predictions
