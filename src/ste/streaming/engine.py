"""From events to predictions: windows of feature rows, shown to the model as they become complete."""

from collections import Counter
from dataclasses import dataclass
from itertools import compress
from typing import Any, NamedTuple, Protocol

import numpy as np

from ste.inference.model_card import ModelCard
from ste.streaming.events import Event
from ste.streaming.running_features import Rows, RunningFeatures
from ste.streaming.stream_calendar import text_of


class Classifier(Protocol):
    """What an engine needs of a model (`ste.inference.onnx_model.ServedModel`)."""

    card: ModelCard
    version: str

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Class probabilities `[B, C]` of examples `[B, *card.shape]`."""


class Monitor(Protocol):
    """Who wants to see what the model saw and said (`ste.monitoring`), and goes on with the engine."""

    @property
    def state(self) -> dict[str, Any]:
        """As JSON has it."""

    def resume(self, state: dict[str, Any]) -> bool:
        """Go on from a state, if it is of the same model."""

    def seen(self, features: np.ndarray, probabilities: np.ndarray, dates: np.ndarray | None = None) -> None:
        """Examples `[B, *shape]`, their class probabilities `[B, C]` and closes, datetime64 `[B]`."""


class Prediction(NamedTuple):
    """What the model says of a ticker at a close.

    Attributes:
        date: of the close, `YYYY-MM-DD`.
        ticker: its name.
        label: the likeliest class.
        probabilities: of the classes in the card's order.
        model: version of the model.
        provisional: the week is not over.
    """

    date: str
    ticker: str
    label: str
    probabilities: tuple[float, ...]
    model: str
    provisional: bool


@dataclass(frozen=True)
class _Window:
    """A ticker's latest rows of consecutive periods, float32 `[<= T, F]`, and the last one's number."""

    rows: np.ndarray
    number: int


class Engine:
    """A state machine: events in, predictions out, and a state to go on from.

    Args:
        model: whose card says features, frequency and window.
        delay: days that events may come late.
        provisional: predict as well at the sessions of a week before its last.
        monitor: is shown every batch of final examples.

    Attributes:
        features: the running features.
        counts: predictions: `final`, `provisional`; and closes without one: `short`, of tickers with fewer
            consecutive periods than the model reads, `unusable`, with a figure that float32 cannot hold.
    """

    def __init__(
        self, model: Classifier, delay: int = 0, provisional: bool = False, monitor: Monitor | None = None
    ) -> None:
        card = model.card
        self.features = RunningFeatures(card.feature_set, card.frequency, delay, provisional)
        self.counts: Counter[str] = Counter()
        self._model = model
        self._monitor = monitor
        self._windows: dict[str, _Window] = {}

    def feed(self, event: Event) -> list[Prediction]:
        """Take an event; predictions at what closed before it."""
        return self._predict(self.features.feed(event))

    def finish(self) -> list[Prediction]:
        """Predictions at what the end of the stream closes."""
        return self._predict(self.features.finish())

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What to go on from besides the closes (`features.take_closes`): JSON, and arrays."""
        card = self._model.card
        length = card.shape[0] if card.view == "sequence" else 1
        windows = np.zeros((len(self._windows), length, len(card.features)), dtype=np.float32)
        for window, place in zip(self._windows.values(), windows, strict=True):
            place[: len(window.rows)] = window.rows
        meta = {
            "feature_set": card.feature_set,
            "frequency": card.frequency,
            "names": card.features,
            "counts": dict(self.counts),
            "monitor": None if self._monitor is None else self._monitor.state,
            "features": self.features.state(),
            "windows": [[name, window.number, len(window.rows)] for name, window in self._windows.items()],
        }
        return meta, {"windows": windows}

    def restore(self, meta: dict[str, Any], arrays: dict[str, np.ndarray], closes: np.ndarray) -> None:
        """Go on from a state, with the same model or another one of the same features and frequency."""
        self.counts = Counter(meta["counts"])
        if self._monitor is not None and meta["monitor"] is not None:
            self._monitor.resume(meta["monitor"])
        self.features.restore(meta["features"], closes)
        card = self._model.card
        most = card.sequence_length if card.view == "sequence" else 1  # another model may read fewer periods
        self._windows = {
            name: _Window(rows[:length][-most:].copy(), number)
            for (name, number, length), rows in zip(meta["windows"], arrays["windows"], strict=True)
        }

    def _predict(self, closes: list[Rows]) -> list[Prediction]:
        return [prediction for rows in closes for prediction in self._at(rows)]

    def _at(self, rows: Rows) -> list[Prediction]:
        """Predictions at one close, by ticker."""
        card = self._model.card
        length = card.sequence_length if card.view == "sequence" else 1
        tickers, windows = [], []
        with np.errstate(over="ignore"):
            values = rows.values.astype(np.float32)
        usable = np.logical_and.reduce(np.isfinite(values), axis=1)
        for name, row in zip(compress(rows.tickers, usable.tolist()), values[usable], strict=True):
            before = self._windows.get(name)
            follows = before is not None and before.number == rows.number - 1
            own = row[None] if not follows or before is None else np.vstack([before.rows, row])[-length:]
            if rows.final:
                self._windows[name] = _Window(own, rows.number)
            if len(own) == length:
                tickers.append(name)
                windows.append(own)
        kind = "final" if rows.final else "provisional"
        if rows.final:
            self.counts["unusable"] += len(rows.tickers) - int(usable.sum())
            self.counts["short"] += int(usable.sum()) - len(tickers)
        if not tickers:
            return []
        examples = np.stack(windows) if card.view == "sequence" else np.concatenate(windows)
        probabilities = self._model.probabilities(examples)
        known = np.isfinite(probabilities).all(axis=1)
        if not known.all():  # a model that says nothing has predicted nothing
            self.counts["unusable"] += int((~known).sum())
            tickers = list(compress(tickers, known.tolist()))
            examples, probabilities = examples[known], probabilities[known]
        self.counts[kind] += len(tickers)
        if self._monitor is not None and rows.final:
            self._monitor.seen(examples, probabilities, np.full(len(tickers), rows.day).astype("datetime64[D]"))
        date, labels = text_of(rows.day), probabilities.argmax(axis=1)
        return [
            Prediction(date, name, card.classes[label], _digits(said), self._model.version, not rows.final)
            for name, label, said in zip(tickers, labels, probabilities, strict=True)
        ]


def _digits(probabilities: np.ndarray) -> tuple[float, ...]:
    """As few digits as tell each float32 from its neighbours."""
    return tuple(float(str(each)) for each in probabilities)
