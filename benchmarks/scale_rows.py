"""What a row of a table in parts costs within one process: to learn from, to predict and to score."""

import tempfile
import time
from pathlib import Path

import torch

from ste.config import TrainSettings
from ste.config.load import compose_train, plain, train_settings
from ste.data.build.prepare import prepare
from ste.data.panel import Panel
from ste.experiment.prediction import predict
from ste.experiment.run import scores_of
from ste.training.fit import data_of, fit, prepare_fit

NETS = {"Dual Tower": ("dual_tower", 100, 900), "LSTM": ("lstm", 5, 85)}
"""Net to its group, and the batches of a shorter and a longer fit, whose difference counts."""


class MappedRows:
    """A table's rows, mapped.

    Args:
        overrides: of a run on it, batch size and folders included.
    """

    def __init__(self, overrides: list[str]) -> None:
        self._overrides = [*overrides, "tracking=off"]
        settings = self._settings("dual_tower")
        torch.set_num_threads(settings.trainer.threads or 1)  # as a command does
        self._panel = Panel.read(prepare(settings.data, Path(settings.paths.data)), settings.data)
        self._panel.store.features.sum()  # every page is there before anything is timed

    def _settings(self, model: str, *more: str) -> TrainSettings:
        return train_settings(plain(compose_train([*self._overrides, f"model={model}", *more])))

    def window(self, net: str) -> float:
        """Microseconds that it takes to learn from a window, without what a fit takes of any length."""
        model, *batches = NETS[net]
        shorter, longer = (self._fitted(model, count) for count in batches)
        return (longer - shorter) / ((batches[1] - batches[0]) * self._settings(model).data.batch_size) * 1e6

    def _fitted(self, model: str, batches: int) -> float:
        """Seconds of a fit."""
        settings = self._settings(model, f"trainer.limit_batches={batches}", "scoring.most_rows=2000")
        data = data_of(settings, self._panel)
        with tempfile.TemporaryDirectory() as folder:
            fitted = fit(settings, data, prepare_fit(settings, data), Path(folder), None)
        assert fitted is not None
        return fitted.seconds

    def example(self) -> float:
        """Microseconds that it takes to predict an example beside its baselines and to score it."""
        settings = self._settings("dual_tower", "scoring.most_rows=100000", "scoring.resamples=200")
        data = data_of(settings, self._panel)
        model = prepare_fit(settings, data)
        began = time.perf_counter()
        predictions = predict(model, data, "Dual Tower")
        scores_of(settings.scoring, predictions)
        return (time.perf_counter() - began) / len(predictions) * 1e6
