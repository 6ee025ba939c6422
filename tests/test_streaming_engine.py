"""Windows of a stream's rows: what the model is shown, and what comes out."""

from typing import Any

import numpy as np
import pytest

from feature_sets import PRICES11
from ste.features.feature_rows import feature_rows
from ste.market.sources import Market
from ste.schema import ROW_PERIOD
from ste.streaming.engine import Engine, Prediction
from ste.streaming.events import Event
from streams import TinyClassifier
from test_streaming_features import events_of, untidy_market


def ran(engine: Engine, events: list[Event]) -> list[Prediction]:
    predictions = [one for event in events for one in engine.feed(event)]
    return predictions + engine.finish()


def provisional_at_last(model: TinyClassifier, events: list[Event]) -> tuple[Engine, list[Prediction]]:
    """An engine that has provisional predictions from late on (each is a computation), and all predictions."""
    plain, engine = Engine(model), Engine(model, provisional=True)
    cut = len(events) * 2 // 3
    predictions = [one for event in events[:cut] for one in plain.feed(event)]
    engine.restore(*plain.state(), plain.features.take_records())
    return engine, predictions + ran(engine, events[cut:])


def in_order(market: Market) -> list[Event]:
    return sorted(events_of(market), key=lambda event: event.day)


def examples(market: Market, model: TinyClassifier) -> dict[tuple[str, str], np.ndarray]:
    """Windows of the batch's rows by date and ticker, gathered row by row."""
    card = model.card
    found = {}
    for ticker, rows in feature_rows(market, card.frequency, card.feature_set).groupby("ticker"):
        values = rows[card.features].to_numpy(dtype=np.float32)
        numbers = rows[ROW_PERIOD].to_numpy()
        for end in range(card.sequence_length - 1, len(rows)):
            start = end - card.sequence_length + 1
            if numbers[end] - numbers[start] == end - start:
                window = values[end] if card.view == "flat" else values[start : end + 1]
                found[rows["date"].iloc[end].strftime("%Y-%m-%d"), str(ticker)] = window
    return found


@pytest.mark.parametrize(
    ("seed", "changes"),
    [
        (1, {"sequence_length": 3}),
        (5, {"view": "flat"}),
        (1, {"sequence_length": 5, "features": PRICES11, "classes": 2}),
        (5, {"sequence_length": 2, "features": PRICES11, "frequency": "weekly"}),
        (5, {"sequence_length": 4, "frequency": "daily"}),
    ],
)
def test_the_model_is_shown_the_batchs_windows(seed: int, changes: dict[str, Any]) -> None:
    market = untidy_market(seed)
    model = TinyClassifier(**changes)
    provisional = seed == 1 and model.card.frequency == "weekly"
    engine = Engine(model)
    if provisional:
        engine, predictions = provisional_at_last(model, in_order(market))
    else:
        predictions = ran(engine, in_order(market))
    final = {(one.date, one.ticker): one for one in predictions if not one.provisional}
    expected = examples(market, model)
    assert len(expected) > 10
    assert set(final) == set(expected)
    keys = list(expected)
    probabilities = model.probabilities(np.stack([expected[key] for key in keys]))
    found = np.array([final[key].probabilities for key in keys])
    np.testing.assert_allclose(found, probabilities, rtol=1e-6)
    classes = [model.card.classes[index] for index in probabilities.argmax(axis=1)]
    assert [final[key].label for key in keys] == classes
    assert {one.model for one in predictions} == {"tiny"}
    assert engine.counts["final"] == len(final)
    assert engine.counts["short"] == len(feature_rows(market, model.card.frequency, model.card.feature_set)) - len(
        final
    )
    assert engine.counts["provisional"] == len(predictions) - len(final)
    assert (len(predictions) > len(final)) == provisional


def test_predictions_come_by_date_and_ticker_and_a_provisional_one_before_its_week_closes() -> None:
    _, predictions = provisional_at_last(TinyClassifier(sequence_length=2), in_order(untidy_market(2)))
    assert len({one.provisional for one in predictions}) == 2
    keys = [(one.date, one.ticker) for one in predictions]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)


def test_a_provisional_prediction_leaves_no_trace() -> None:
    events = in_order(untidy_market(3))
    plain = Engine(TinyClassifier())
    both, predictions = provisional_at_last(TinyClassifier(), events)
    final = [one for one in predictions if not one.provisional]
    assert ran(plain, events) == final != predictions
    (meta, arrays), (other, same) = plain.state(), both.state()
    assert arrays["windows"].tobytes() == same["windows"].tobytes()
    assert {**other, "counts": None} == {**meta, "counts": None}


def test_probabilities_are_written_with_the_digits_that_tell_them_apart() -> None:
    model = TinyClassifier()
    for one in ran(Engine(model), in_order(untidy_market(4)))[:20]:
        again = np.array(one.probabilities, dtype=np.float32)
        assert [str(value) for value in again] == [str(value) for value in one.probabilities]


def test_a_model_with_a_longer_window_waits_for_it() -> None:
    events = in_order(untidy_market(6))
    half = len(events) * 2 // 3
    first = Engine(TinyClassifier(sequence_length=2))
    for event in events[:half]:
        first.feed(event)
    second = Engine(TinyClassifier(sequence_length=3))
    second.restore(*first.state(), first.features.take_records())
    predictions = [one for event in events[half:] for one in second.feed(event)] + second.predict()
    assert predictions
    straight = ran(Engine(TinyClassifier(sequence_length=3)), events)
    assert set(predictions) <= set(straight)


@pytest.mark.parametrize("shorter", [{"sequence_length": 1}, {"view": "flat"}])
def test_a_model_with_a_shorter_window_goes_on_at_once(shorter: dict[str, Any]) -> None:
    events = in_order(untidy_market(6))
    half = len(events) * 2 // 3
    first = Engine(TinyClassifier(sequence_length=3))
    for event in events[:half]:
        first.feed(event)
    first.predict()
    second = Engine(TinyClassifier(**shorter))
    second.restore(*first.state(), first.features.take_records())
    assert second.state()[1]["windows"].shape[1] == 1
    predictions = [one for event in events[half:] for one in second.feed(event)] + second.predict()
    straight = Engine(TinyClassifier(**shorter))
    for event in events[:half]:
        straight.feed(event)
    straight.predict()
    assert predictions == [one for event in events[half:] for one in straight.feed(event)] + straight.predict() != []


class Silent(TinyClassifier):
    """Has no probabilities for every other example."""

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        predictions = super().probabilities(features)
        predictions[::2] = np.nan
        return predictions


def test_probabilities_that_are_not_finite_are_no_prediction() -> None:
    events = in_order(untidy_market(6))
    engine, seen = Engine(Silent(sequence_length=2)), Engine(TinyClassifier(sequence_length=2))
    predictions, every = ran(engine, events), ran(seen, events)
    assert 0 < len(predictions) < len(every)
    assert set(predictions) < set(every)
    assert engine.counts["final"] == len(predictions)
    assert engine.counts["unusable"] == seen.counts["unusable"] + len(every) - len(predictions)
