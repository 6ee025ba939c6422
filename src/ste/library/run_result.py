"""What a training gives: predictions, scores, verdict, report and the fitted model."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ste.evaluation.scorecard import Estimate, Scorecard
from ste.evaluation.verdict import Verdict
from ste.experiment.artifacts import SUMMARY
from ste.experiment.run_parts import RunParts
from ste.experiment.train_result import TrainResult
from ste.library.dataset import Dataset
from ste.library.notebook_html import html_table
from ste.library.run_folder import RunFolder
from ste.reporting.formatting import cell, who

if TYPE_CHECKING:
    from ste.library.portable_model import PortableModel
    from ste.library.report_document import ReportDocument

_FIGURES = ("accuracy", "mcc", "log_loss")


@dataclass(frozen=True, eq=False)
class RunResult:
    """A trained, scored and judged model.

    Attributes:
        dataset: that it was trained on.
        run: the result as `python -m ste.train` has it.
        settings: of the run, as plain data.
        call: the Python expression that repeats it, as far as it can be written.
    """

    dataset: Dataset
    run: TrainResult
    parts: RunParts = field(repr=False)
    settings: Mapping[str, Any] = field(repr=False)
    call: str
    _folder: RunFolder = field(repr=False)

    @property
    def verdict(self) -> Verdict:
        """The verdict on the test rows: `word`, `headline`, `points`, `details`; `str()` is its text."""
        return self.run.verdict

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """Probabilities of the model, its baselines and, on synthetic data, the truth, with labels and returns.

        One row per scored example, sorted by split, date and ticker: `date` (the row's close), `ticker`, `split`,
        `fold`, `path`, `label` (index of the class), `return` (simple, over the horizon), `p_downtrend` ..., and the
        same columns of each baseline with its name before a dot.
        """
        return self.run.predictions.frame.copy()

    @property
    def scorecards(self) -> dict[str, Scorecard]:
        """Every metric with its interval, baselines, gains and portfolio, by split."""
        return self.run.scores

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Accuracy, MCC and log-loss with their 95 % intervals, a row for each split and model."""
        rows = {}
        for split, card in self.run.scores.items():
            for name, figures in [(self.run.model, card.figures), *card.baselines.items()]:
                rows[split, name] = _row(figures)
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["split", "model"])

    @property
    def history(self) -> pd.DataFrame:
        """Metrics of each epoch, of folds those of the last one; empty for a baseline."""
        return pd.DataFrame(self.run.last.history).rename_axis("epoch")

    @property
    def model(self) -> Any:
        """The fitted model on the CPU: `ste.training.module.TrendModule`, or a fitted baseline; of folds the last."""
        return self.run.last.model

    @property
    def run_id(self) -> str | None:
        """MLflow's ID; None without tracking."""
        return self.run.run_id

    def report(self, *, importance: bool = True) -> "ReportDocument":
        """Return the report as one HTML page that loads nothing.

        Args:
            importance: compute what each feature contributes, which takes some seconds.
        """
        from ste.library.report_document import report_document

        return report_document(self, importance=importance)

    def export(self, path: str | os.PathLike[str]) -> "PortableModel":
        """Write the model as one ONNX file with its card, compared with PyTorch on held-out rows.

        `python -m ste.predict`, `serve` and `live` use the file. Of folds it holds the model of the last one.

        Args:
            path: of the file.

        Raises:
            SteError: a model that cannot be exported.
        """
        from ste.library.portable_model import PortableModel, export

        place = Path(path).expanduser()
        export(self).write(place)
        return PortableModel(place)

    def predict(self, data: Any, **options: Any) -> pd.DataFrame:
        """Predict bars or a table of features; arguments and result as in `PortableModel.predict`.

        Raises:
            SteError: data that cannot be used.
        """
        return self._served.predict(data, **options)

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Copy the files of the run: settings, data card, summary, predictions, confusion matrices, checkpoint.

        Args:
            folder: new or empty.
        """
        place = Path(folder).expanduser()
        shutil.copytree(self.run.folder, place, dirs_exist_ok=True)
        return place

    @property
    def summary(self) -> dict[str, Any]:
        """Content of `summary.json`."""
        content: dict[str, Any] = json.loads((self.run.folder / SUMMARY).read_text())
        return content

    @cached_property
    def _served(self) -> "PortableModel":
        return self.export(self._folder.path / "model.onnx")

    def __repr__(self) -> str:
        return f"{self.run.model} on {self.dataset!r}\n{self.verdict}"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the verdict, and the scores of the split that it is on."""
        points = "".join(f"<li>{escape(point)}</li>" for point in self.verdict.points)
        split = "test" if "test" in self.run.scores else "validation"
        card = self.run.scores[split]
        rows = {self.run.model: card.figures} | {
            "Bayes (optimum)" if name == "bayes" else who(name, self.run.model): figures
            for name, figures in card.baselines.items()
        }
        shown = pd.DataFrame({name: _cells(figures) for name, figures in rows.items()}).T
        caption = f"{split}: {card.examples:,} examples, {card.periods:,} {card.unit}s"
        return f"<p><b>{escape(self.verdict.headline)}</b></p><ul>{points}</ul>{html_table(shown, caption)}"


def _row(figures: Mapping[str, Estimate]) -> dict[str, float | None]:
    row: dict[str, float | None] = {}
    for name in _FIGURES:
        if name in figures:
            one = figures[name]
            row |= {name: one.value, f"{name}_low": one.low, f"{name}_high": one.high}
    return row


def _cells(figures: Mapping[str, Estimate]) -> dict[str, str]:
    accuracy = cell(figures.get("accuracy"), "accuracy")
    others = {title: cell(figures.get(name), name).text for name, title in (("mcc", "MCC"), ("log_loss", "log-loss"))}
    return {"accuracy": accuracy.text, "95 % interval": accuracy.interval, **others}
