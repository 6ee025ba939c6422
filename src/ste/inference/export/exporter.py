"""From a tracked run to one ONNX file with its card."""

import json
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from ste.config import PathSettings
from ste.data.storage.files import whole_file
from ste.evaluation.predictions import Predictions
from ste.experiment.artifacts import PREDICTIONS, SUMMARY
from ste.experiment.prediction import one_thread
from ste.inference.card_metrics import AUTO_BLOCKS, auto_block_metrics
from ste.inference.class_cuts import CUTS, class_cuts
from ste.inference.export.exported_run import Source, read_source
from ste.inference.export.onnx_file import traced, with_card
from ste.inference.export.parity import ROWS, largest_difference
from ste.inference.model_card import ModelCard
from ste.inference.reference import ReferenceDistributions

MOST = 50_000
"""Training examples whose distributions a card keeps."""
_COMPANY = ("accuracy", "log_loss")
_FILE_PACKAGES = ("onnx", "onnxscript", "onnxruntime")


@dataclass(frozen=True, eq=False)
class Exported:
    """A run as a file.

    Attributes:
        content: of the ONNX file.
        card: in it.
        rows: held-out examples that it was compared on, of `split`.
        split: `test`, or `validation` where there is none.
        example: raw features of two held-out examples, float32.
    """

    content: bytes
    card: ModelCard
    rows: int
    split: str
    example: np.ndarray

    def write(self, path: Path) -> None:
        """Whole or not at all."""
        with whole_file(path) as partial:
            partial.write_bytes(self.content)


def export_run(client: Any, found: Any, paths: PathSettings, folder: Path) -> Exported:
    """The file of a finished run, compared with PyTorch on rows held out of its training.

    Args:
        client: of the store.
        found: the run.
        paths: where its data lies now.
        folder: for downloads.

    Raises:
        SteError: a run that cannot be exported, or a file that would say something else than the run.
    """
    from ste.tracking.run_lookup import download

    source = read_source(client, found, paths, folder)
    summary = json.loads(download(client, found, SUMMARY, folder).read_text())
    said = Predictions.read(download(client, found, PREDICTIONS, folder))
    split = "test" if "test" in source.data.datasets else "validation"
    dataset = source.data.datasets[split]
    rows = torch.linspace(0, len(dataset) - 1, min(ROWS, len(dataset))).long()
    features = dataset[rows].features
    example = torch.cat([features, features])[
        :2
    ]  # two even where there is one: the exporter takes a batch of 1 for fixed
    proto = traced(source.graph, example)
    with one_thread():
        difference = largest_difference(proto.SerializeToString(), source.chances, features, f"run={found.id}")
    card = _card(found, source, summary, said, difference)
    return Exported(with_card(proto, card), card, len(rows), split, example.numpy())


def _card(found: Any, source: Source, summary: dict[str, Any], said: Predictions, parity: float) -> ModelCard:
    settings, train = source.data.settings, source.data.datasets["train"]
    first, last = (pd.Timestamp(day) for day in (train.dates.min(), train.dates.max()))
    return ModelCard(
        name=source.name,
        run_id=found.id,
        feature_set=settings.features,
        features=list(source.data.panel.features),
        classes=list(source.data.panel.classes),
        frequency=settings.frequency,
        horizon=settings.labels.horizon,
        view="flat" if source.flat else "sequence",
        sequence_length=1 if source.flat else settings.sequence_length,
        labels=_labels(source),
        data_source=settings.source,
        data_digest=source.data.panel.prepared.digest,
        trained_from=f"{first:%Y-%m-%d}",
        trained_to=f"{last:%Y-%m-%d}",
        metrics={split: _figures(card, split, said) for split, card in summary["scores"].items()},
        verdict=_verdict(found, summary),
        versions=_versions(found),
        parity=parity,
        reference=reference_of(source, said),
        made_of=source.made_of,
    )


def reference_of(source: Source, said: Predictions) -> dict[str, Any]:
    """Distributions that serving is held against: of the training examples, and of what was said out of sample.

    Args:
        source: its training examples, at most `MOST` of them, evenly spread.
        said: out-of-sample predictions of the run.
    """
    train = source.data.datasets["train"]
    rows = torch.linspace(0, len(train) - 1, min(MOST, len(train))).long()
    batch, ends = train[rows], train.ends[rows]
    reference = ReferenceDistributions.from_examples(
        batch.features.numpy(),
        said.probs,
        source.data.panel.features,
        source.data.panel.classes,
        periods=train.store.period[ends.numpy()],
        probability_periods=said.periods,
        labels=batch.label.numpy(),
    )
    return reference.to_dict()


def _labels(source: Source) -> dict[str, Any]:
    """Settings that the classes were cut with; where they do not say the thresholds, those that the rows show."""
    panel = source.data.panel
    labels = asdict(panel.settings.labels)
    if labels["method"] == "balanced" or panel.settings.source == "csv":
        learnt, columns = panel.roles == 0, panel.store.columns
        labels[CUTS] = class_cuts(columns.returns[learnt], columns.directions[learnt])
    return labels


def _figures(card: dict[str, Any], split: str, said: Predictions) -> dict[str, Any]:
    """What a card keeps of a split's scores: its figures with intervals, and what stands beside them."""
    kept = {name: card[name] for name in ("examples", "periods", "unit", "figures")}
    if split == "train":
        return kept
    company = {
        name: {figure: figures[figure] for figure in _COMPANY if figure in figures}
        for name, figures in card["baselines"].items()
    }
    auto_blocks = auto_block_metrics(said.slice_split(split))
    return {**kept, AUTO_BLOCKS: auto_blocks, "baselines": company, "reliability": card["reliability"]}


def _verdict(found: Any, summary: dict[str, Any]) -> dict[str, str]:
    """Of the run's end; where it was judged again since, that word too."""
    word, paragraph = summary["verdict"]["word"], summary["verdict"]["paragraph"]
    now = found.tags.get("verdict", word)
    if now != word:
        paragraph += f" Judged again after further trials: {now}."
    return {"word": now, "paragraph": paragraph}


def _versions(found: Any) -> dict[str, str]:
    """Of the packages that trained it, and those that made the file."""
    trained = {key.removeprefix("version."): text for key, text in found.tags.items() if key.startswith("version.")}
    return dict(sorted({**trained, **{name: version(name) for name in _FILE_PACKAGES}}.items()))
