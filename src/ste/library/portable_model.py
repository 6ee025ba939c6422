"""A model as one ONNX file: export of a trained one, and predictions from bars or tables."""

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ste.config import PredictSettings
from ste.config.load import load_settings
from ste.config.program_values import compose_values
from ste.config.progress import one_line
from ste.evaluation.predictions import Predictions
from ste.experiment.artifacts import PREDICTIONS
from ste.inference.batch.file_prediction import predict_file
from ste.inference.model_card import ModelCard
from ste.inference.onnx_model import ServedModel
from ste.library.data_files import DataFiles, is_table
from ste.library.notebook_html import html_list

if TYPE_CHECKING:
    from ste.inference.export.exporter import ExportedModel
    from ste.library.run_result import RunResult

_FRAMES = ("news", "macro", "policy")


class PortableModel:
    """A model as `python -m ste.export` or `RunResult.export` wrote it; it needs no torch.

    Args:
        path: of the ONNX file.

    Attributes:
        path: of the file.
        card: what it reads, how it was trained, its scores and its verdict.

    Raises:
        RunError: there is no such file, or another program wrote it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).expanduser()
        self._model = ServedModel(self.path)

    @property
    def card(self) -> ModelCard:
        """The model card."""
        return self._model.card

    def predict(
        self,
        data: Any,
        *,
        latest: bool = False,
        extra: Mapping[str, Any] | None = None,
        ticker: str | None = None,
        **settings: Any,
    ) -> pd.DataFrame:
        """Predict bars or a table of features, as `python -m ste.predict` does.

        Rows that cannot be predicted are left out with a warning that counts them; `rejects="rejects.csv"` lists them.

        Args:
            data: bars as `ste.load` takes them, or a DataFrame with the features of the card.
            latest: predict only the newest period of the bars.
            extra: files or DataFrames of your own columns by name.
            ticker: of bars that have no column of tickers.
            settings: further settings of the command, such as `columns`, `news`, `extra_lag`, `threads`.

        Returns:
            `date`, `ticker`, the probability of each class and the most probable one, in the order of the rows.

        Raises:
            SteError: data that cannot be used.
        """
        files = DataFiles()
        output = files.folder / "predictions.parquet"
        with files.named(), one_line():
            given = {name: files.path(one, name) if name in _FRAMES else one for name, one in settings.items()}
            if extra:
                given["extra"] = {name: files.path(one, f"extra-{name}") for name, one in extra.items()}
            kind = "input" if is_table(data) and set(self.card.features) <= set(data.columns) else "bars"
            given |= {kind: files.path(data, kind, ticker), "latest": latest}
            values = compose_values("predict", {}, {"output": str(output), **given, "model": str(self.path)})
            counts = predict_file(load_settings(PredictSettings, values)).counts
        if counts.rejected:
            kinds = "see them" if "rejects" in settings else 'rejects="rejects.csv" lists them'
            warnings.warn(f"{counts.rejected:,} rows rejected: {kinds}", stacklevel=2)
        return pd.read_parquet(output)

    def __repr__(self) -> str:
        return f"PortableModel({self.card.name}, trained to {self.card.trained_to}: {self.path.name})"

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        card = self.card
        facts = (
            f"reads {card.sequence_length} {card.frequency} rows of {card.feature_set.name}: "
            f"{len(card.features)} features",
            f"trained from {card.trained_from} to {card.trained_to}",
            f"verdict: {card.verdict['headline']}",
        )
        return f"<p><b>{card.name}</b></p>{html_list(facts)}"


def load_model(path: str | os.PathLike[str]) -> PortableModel:
    """Open an exported model.

    Args:
        path: of the ONNX file.

    Raises:
        RunError: there is no such file, or another program wrote it.
    """
    return PortableModel(path)


def export(result: "RunResult") -> "ExportedModel":
    """Export the model of a run.

    Raises:
        SteError: a model that cannot be exported, or a file whose predictions differ from PyTorch's.
    """
    from ste.inference.export.exported_run import trained_run
    from ste.inference.export.exporter import Origin, export_trained
    from ste.tracking.provenance import provenance

    run, start = result.run, "version."
    known = {key.removeprefix(start): text for key, text in provenance().items() if key.startswith(start)}
    origin = Origin(run.run_id or "not tracked", run.model, None, known)
    predictions = Predictions.read(run.folder / PREDICTIONS)
    with one_line():
        return export_trained(trained_run(run.last.model, result.parts), result.summary, predictions, origin)
