"""Export a tracked run as one ONNX file with its model card."""

import json
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from ste.config import DataSettings, PathSettings
from ste.config.plugin_record import record_plugins
from ste.config.progress import step
from ste.data.build.data_card import is_synthetic
from ste.data.storage.files import atomic_file
from ste.data.window_dataset import WindowDataset
from ste.data.windows import MAX_EXAMPLES
from ste.evaluation.explain.permutation_importance import even_periods
from ste.evaluation.predictions import Predictions
from ste.experiment.artifacts import PREDICTIONS, SUMMARY
from ste.experiment.prediction import one_thread
from ste.features.feature_rows import own_functions
from ste.inference.card_metrics import AUTO_BLOCKS, COMPARED_METRICS, auto_block_metrics
from ste.inference.class_cuts import CUTS
from ste.inference.export.exported_run import ExportedRun, load_run
from ste.inference.export.onnx_file import serialize, trace
from ste.inference.export.parity import MAX_ROWS, largest_difference
from ste.inference.model_card import ModelCard
from ste.inference.reference import ReferenceDistributions
from ste.inference.training_data import SAMPLE_ROWS, training_sample
from ste.labels.label_method import label_method
from ste.labels.thresholds import separating_edges
from ste.tracking.run_protocol import RunStore

if TYPE_CHECKING:
    from ste.tracking.run_info import RunInfo

MAX_REFERENCE_ROWS = 50_000
"""Training examples that the reference distributions are measured on."""
VERDICT_PARTS = ("word", "headline", "points", "details", "paragraph")
"""What a card stores of the verdict in a run's summary, as far as the run has it."""
_FILE_PACKAGES = ("onnx", "onnxscript", "onnxruntime")


@dataclass(frozen=True, eq=False)
class ExportedModel:
    """A run as an ONNX file.

    Attributes:
        content: of the file.
        card: in the file.
        rows: held-out examples of `split` that were compared with PyTorch.
        split: `test`, or `validation` if there is no test split.
        example: raw features of two held-out examples, float32.
    """

    content: bytes
    card: ModelCard
    rows: int
    split: str
    example: np.ndarray

    def write(self, path: Path) -> None:
        """Write the file; it appears complete or not at all."""
        with atomic_file(path) as partial:
            partial.write_bytes(self.content)


def export_run(client: RunStore, run: "RunInfo", paths: PathSettings, folder: Path) -> ExportedModel:
    """Export a finished run and compare the file with PyTorch on held-out rows.

    Args:
        client: of the store.
        run: to export.
        paths: folders of the data and the outputs.
        folder: for downloads.

    Raises:
        SteError: a run that cannot be exported, or a file whose predictions differ from PyTorch's.
    """
    from ste.tracking.run_lookup import download

    with step("loading the run"):
        exported = load_run(client, run, paths, folder)
    summary = json.loads(download(client, run, SUMMARY, folder).read_text())
    predictions = Predictions.read(download(client, run, PREDICTIONS, folder))
    origin = Origin(run.id, f"run={run.id}", run.tags.get("verdict"), _versions(client, run))
    return export_trained(exported, summary, predictions, origin)


@dataclass(frozen=True)
class Origin:
    """Where an exported model comes from.

    Attributes:
        run_id: of its tracked run, or a word where it is not tracked.
        name: of the model, for messages.
        verdict: present word of the verdict, which later trials may have changed; None is that of the summary.
        versions: of the packages that trained it.
    """

    run_id: str
    name: str
    verdict: str | None
    versions: dict[str, str]


def export_trained(
    exported: ExportedRun, summary: dict[str, Any], predictions: Predictions, origin: Origin
) -> ExportedModel:
    """Export a trained model and compare the file with PyTorch on held-out rows.

    Args:
        exported: the model and its data.
        summary: content of the run's `summary.json`.
        predictions: out-of-sample predictions of the run.
        origin: of the model.

    Raises:
        SteError: a model that cannot be exported, or a file whose predictions differ from PyTorch's.
    """
    split = "test" if "test" in exported.data.datasets else "validation"
    features, group = _compared_examples(exported.data.datasets[split], exported.sees_market)
    example = torch.cat([features, features])[:2]  # two, also of a single row: a batch of one would be traced as fixed
    dates = None if group is None else torch.zeros(2, dtype=torch.int64)
    with step("converting to ONNX"):
        proto = trace(exported.graph, example, dates)
    with step("comparing with PyTorch"), one_thread():
        parity = largest_difference(proto.SerializeToString(), exported.predict_proba, features, origin.name, group)
    with step("measuring the training data"):
        card = _model_card(origin, exported, summary, predictions, parity)
    return ExportedModel(serialize(proto, card), card, len(features), split, example.numpy())


def _compared_examples(dataset: WindowDataset, whole_dates: bool) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Select evenly spaced held-out examples, or whole dates with their groups: raw features, and groups or None."""
    if whole_dates:
        market = dataset.market()
        assert market.group is not None
        batch = market[torch.from_numpy(even_periods(market.group.numpy(), MAX_EXAMPLES))]
        return batch.features, batch.group
    return dataset[torch.linspace(0, len(dataset) - 1, min(MAX_ROWS, len(dataset))).long()].features, None


def _model_card(
    origin: Origin,
    exported: ExportedRun,
    summary: dict[str, Any],
    predictions: Predictions,
    parity: float,
) -> ModelCard:
    settings, train = exported.data.settings, exported.data.datasets["train"]
    first, last = (pd.Timestamp(day) for day in (train.dates.min(), train.dates.max()))
    stated = exported.data.panel.prepared.card
    return ModelCard(
        name=exported.name,
        run_id=origin.run_id,
        definitions=settings.feature_set.to_dict(),
        classes=list(exported.data.panel.classes),
        frequency=settings.frequency,
        horizon=settings.labels.horizon,
        view="flat" if exported.flat else "sequence",
        sequence_length=1 if exported.flat else settings.sequence_length,
        labels=_label_settings(exported),
        data_source=settings.source,
        data_digest=exported.data.panel.prepared.digest,
        trained_from=f"{first:%Y-%m-%d}",
        trained_to=f"{last:%Y-%m-%d}",
        metrics={split: _split_metrics(card, split, predictions) for split, card in summary["scores"].items()},
        verdict=_verdict(origin, summary),
        versions=_with_file_packages(origin.versions),
        parity=parity,
        reference=reference_distributions(exported, predictions),
        made_of=exported.made_of,
        synthetic=is_synthetic(stated),
        calendar=exported.data.panel.settings.calendar,
        extra_lag=dict(getattr(settings, "extra_lag", {})),
        plugins=record_plugins({}, own_functions(settings.feature_set), kinds=("feature",)).get("plugins", []),
        sees_market=exported.sees_market,
        calibration=exported.calibration,
        **{key: stated[key] for key in ("spacing", "adjustment", "adjusted") if key in stated},
        **_training_rows(train, settings),
    )


def _training_rows(train: WindowDataset, settings: DataSettings) -> dict[str, Any]:
    """Describe the training rows for the card: their tickers, and a sample of the rows."""
    columns, ends = train.store.columns, train.ends.numpy()
    chosen = ends[np.unique(np.linspace(0, len(ends) - 1, SAMPLE_ROWS).astype(np.int64))]
    frame = pd.DataFrame(train.store.features[torch.from_numpy(chosen)].numpy())
    frame.columns = list(settings.feature_set.names)
    frame = frame.assign(date=columns.dates(chosen), ticker=columns.tickers[columns.ticker[chosen]])
    return {
        "tickers": columns.tickers[np.unique(columns.ticker[ends])].tolist(),
        "training_sample": training_sample(frame, settings.feature_set),
    }


def reference_distributions(exported: ExportedRun, predictions: Predictions) -> dict[str, Any]:
    """Measure the distributions that drift is measured from.

    Args:
        exported: gives the training examples, at most `MAX_REFERENCE_ROWS` of them, evenly spaced.
        predictions: out-of-sample predictions of the run.
    """
    train, panel = exported.data.datasets["train"], exported.data.panel
    rows = torch.linspace(0, len(train) - 1, min(MAX_REFERENCE_ROWS, len(train))).long()
    batch, ends = train[rows], train.ends[rows]
    reference = ReferenceDistributions.from_examples(
        batch.features.numpy(),
        predictions.probs,
        panel.settings.feature_set,
        panel.classes,
        periods=train.store.period[ends.numpy()],
        probability_periods=predictions.periods,
        labels=batch.label.numpy(),
    )
    return reference.to_dict()


def _label_settings(exported: ExportedRun) -> dict[str, Any]:
    """The settings of the labels; where they do not contain the thresholds, with those recovered from the rows."""
    panel = exported.data.panel
    labels, method = asdict(panel.settings.labels), label_method(panel.settings.labels)
    if method.needs_training or panel.settings.source == "csv":
        train, columns = panel.row_split == 0, panel.store.columns
        labels[CUTS] = separating_edges(columns.returns[train], columns.directions[train], method.trend_count)
    return labels


def _split_metrics(card: dict[str, Any], split: str, predictions: Predictions) -> dict[str, Any]:
    """Select what a model card stores of a split's scorecard: the metrics with intervals, and the baselines'."""
    metrics = {name: card[name] for name in ("examples", "periods", "unit", "figures")}
    if split == "train":
        return metrics
    baselines = {
        name: {figure: figures[figure] for figure in COMPARED_METRICS if figure in figures}
        for name, figures in card["baselines"].items()
    }
    auto_blocks = auto_block_metrics(predictions.slice_split(split))
    return {**metrics, AUTO_BLOCKS: auto_blocks, "baselines": baselines, "reliability": card["reliability"]}


def _verdict(origin: Origin, summary: dict[str, Any]) -> dict[str, Any]:
    """The verdict at the end of the run, with its present word if later trials changed it."""
    then = {name: summary["verdict"][name] for name in VERDICT_PARTS if name in summary["verdict"]}
    now = origin.verdict or then["word"]
    if now != then["word"]:
        then["points"] = [f"Judged again after further trials: {now}.", *then.get("points", [])]
    return then | {"word": now}


def _versions(client: RunStore, run: "RunInfo") -> dict[str, str]:
    """Versions of the packages that trained a tracked model."""
    from ste.tracking.run_artifacts import read_provenance

    known, start = read_provenance(client, run), "version."
    return {key.removeprefix(start): text for key, text in known.items() if key.startswith(start)}


def _with_file_packages(trained: dict[str, str]) -> dict[str, str]:
    """Versions of the packages that trained the model and that wrote the file."""
    return dict(sorted({**trained, **{name: version(name) for name in _FILE_PACKAGES}}.items()))
