"""Convert events to predictions: build windows of feature rows and run the model when a window is complete."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import compress
from typing import Any, NamedTuple

import numpy as np

from ste.errors import RunError
from ste.features.bar_fields import FIELDS
from ste.features.feature_rows import needed_fields
from ste.inference.model_card import ModelCard
from ste.inference.onnx_model import ServedModel
from ste.market.calendar_check import fitting_calendars
from ste.schema import BARS
from ste.streaming.close_rows import PeriodRows
from ste.streaming.event_parser import EventParser
from ste.streaming.events import Event, ExtraEvent
from ste.streaming.feature_stream import FeatureStream
from ste.streaming.stream_calendar import iso_date_of


def check_streamable(card: ModelCard) -> None:
    """Raise `RunError` where the sessions to come, or what the model reads, are not those of a stream."""
    if card.periods.calendar.label == BARS:
        days = card.periods.calendar.known_days
        fits = [name for name, _ in fitting_calendars(days)[:4]]
        remedy = f"data.calendar={fits[0]} ({', '.join(fits)} fit its days)" if fits else "the calendar of its exchange"
        raise RunError(
            f"model: {card.name} was trained with data.calendar=bars, so the sessions to come are unknown. Train with "
            f"{remedy}."
        )
    if card.spacing != "daily":
        raise RunError(f"model: {card.name} was trained on {card.spacing} bars, and a stream has daily ones.")
    if not card.feature_set.from_bars:
        without = next(column.name for column in card.feature_set.columns if not column.expr)
        raise RunError(
            f"model: {card.name} reads columns of a ready table ({without}), which bars do not have. Train with a "
            "feature set whose columns all have an expr."
        )
    unknown = sorted(name for name in needed_fields(card.feature_set).difference(FIELDS) if "." not in name)
    if unknown:
        raise RunError(f"model: {card.name} reads ${unknown[0]}, and no event of a stream has it.")


class Prediction(NamedTuple):
    """A prediction for one ticker at one close.

    Attributes:
        date: date of the close, `YYYY-MM-DD`.
        ticker: ticker symbol.
        label: class with the highest probability.
        probabilities: class probabilities in the card's order.
        model: version of the model.
        provisional: whether the period is still open.
    """

    date: str
    ticker: str
    label: str
    probabilities: tuple[float, ...]
    model: str
    provisional: bool


@dataclass(frozen=True)
class _Window:
    """A ticker's latest rows of consecutive periods, float32 `[<= T, F]`, and the last row's period index."""

    rows: np.ndarray
    period_index: int


class Engine:
    """State machine of the pipeline: takes events, returns predictions, can be saved and restored.

    Args:
        model: its card defines features, frequency and window length.
        max_delay: days that events may arrive late.
        provisional: also predict at the sessions of a week or month before its last one.

    Attributes:
        features: the feature rows of the stream.
        counts: number of predictions (`final`, `provisional`) and of closes without one: `short` (the ticker has fewer
            consecutive periods than the model reads) and `unusable` (a feature without a value, or with one that
            float32 cannot represent).
    """

    def __init__(self, model: ServedModel, max_delay: int = 0, provisional: bool = False) -> None:
        card = model.card
        self.features = FeatureStream(card.feature_set, card.periods, max_delay, provisional)
        self.counts: Counter[str] = Counter()
        self._model = model
        self._windows: dict[str, _Window] = {}
        self._lags = {name: card.extra_lag[name] for name in card.extra_files if name in card.extra_lag}
        self._parser = EventParser(self.features.calendar, card.extra_lag)

    def parse(self, content: Any, latest: int | None = None) -> Event:
        """Parse an event from its JSON object; `latest` is the last valid day, None allows any.

        Raises:
            EventError: a field is missing or invalid.
        """
        event = self._parser.parse(content, latest)
        if isinstance(event, ExtraEvent):
            self.features.own_columns.check(event)
        return event

    def feed(self, event: Event) -> list[Prediction]:
        """Process an event; return the predictions of earlier closes if it changes what they look at."""
        return self._predict(self.features.feed(event))

    def predict(self) -> list[Prediction]:
        """Return the predictions of the periods that the events closed since the last call."""
        return self._predict(self.features.rows())

    def finish(self) -> list[Prediction]:
        """End the stream; return the predictions of the periods that were closed."""
        return self._predict(self.features.finish())

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return the state as JSON and arrays; the closed events come separately (`features.take_records`)."""
        card = self._model.card
        windows = np.zeros((len(self._windows), self._length, len(card.features)), dtype=np.float32)
        for window, target in zip(self._windows.values(), windows, strict=True):
            target[: len(window.rows)] = window.rows
        meta = {
            "definitions": card.definitions,
            "frequency": card.frequency,
            "calendar": card.calendar,
            "extra_lag": self._lags,
            "counts": dict(self.counts),
            "features": self.features.state(),
            "windows": [[name, window.period_index, len(window.rows)] for name, window in self._windows.items()],
        }
        return meta, {"windows": windows}

    def restore(self, meta: dict[str, Any], arrays: dict[str, np.ndarray], records: Mapping[str, np.ndarray]) -> None:
        """Restore a state. The model may differ if it has the same features, calendar and frequency."""
        self.counts = Counter(meta["counts"])
        self.features.restore(meta["features"], records)
        self._windows = {
            name: _Window(rows[:length][-self._length :].copy(), period_index)  # the model may read fewer periods now
            for (name, period_index, length), rows in zip(meta["windows"], arrays["windows"], strict=True)
        }

    @property
    def _length(self) -> int:
        """Number of periods in a window."""
        card = self._model.card
        return card.sequence_length if card.view == "sequence" else 1

    def _predict(self, closes: list[PeriodRows]) -> list[Prediction]:
        return [prediction for rows in closes for prediction in self._predict_close(rows)]

    def _predict_close(self, rows: PeriodRows) -> list[Prediction]:
        """Predict every ticker at one close, sorted by ticker."""
        card = self._model.card
        tickers, windows = [], []
        with np.errstate(over="ignore"):
            values = rows.values.astype(np.float32)
        usable = np.logical_and.reduce(np.isfinite(values), axis=1)
        for name, row in zip(compress(rows.tickers, usable.tolist()), values[usable], strict=True):
            before = self._windows.get(name)
            if before is not None and before.period_index == rows.period_index - 1:
                window = np.vstack([before.rows, row])[-self._length :]
            else:
                window = row[None]
            if rows.final:
                self._windows[name] = _Window(window, rows.period_index)
            if len(window) == self._length:
                tickers.append(name)
                windows.append(window)
        kind = "final" if rows.final else "provisional"
        if rows.final:
            self.counts["unusable"] += rows.undefined + len(rows.tickers) - int(usable.sum())
            self.counts["short"] += int(usable.sum()) - len(tickers)
        if not tickers:
            return []
        examples = np.stack(windows) if card.view == "sequence" else np.concatenate(windows)
        probabilities = self._model.probabilities(examples)
        finite = np.isfinite(probabilities).all(axis=1)
        if not finite.all():
            self.counts["unusable"] += int((~finite).sum())
            tickers = list(compress(tickers, finite.tolist()))
            probabilities = probabilities[finite]
        self.counts[kind] += len(tickers)
        date, labels = iso_date_of(rows.day), probabilities.argmax(axis=1)
        return [
            Prediction(date, name, card.classes[label], _shortest(probs), self._model.version, not rows.final)
            for name, label, probs in zip(tickers, labels, probabilities, strict=True)
        ]


def _shortest(probabilities: np.ndarray) -> tuple[float, ...]:
    """Round each float32 to the fewest digits that identify it."""
    return tuple(float(str(each)) for each in probabilities)
