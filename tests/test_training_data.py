"""What a model was trained on: the warning about a synthetic market, and which rows count as training."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from monitored import TRAINED_TO, WORLD, Monitored, monitored
from onnx_files import tiny_card
from ste.config import SyntheticSettings
from ste.data.storage.files import write_frame
from ste.errors import DataError, RunError
from ste.inference.card_market import open_market
from ste.inference.inputs import rows_of_bars
from ste.inference.model_card import FORMAT, ModelCard
from ste.inference.training_data import early_notes, is_same_data, synthetic_warning, training_rows
from ste.market.sources import Market
from ste.monitoring.market_history import market_history
from ste.synthetic.generator import generate_market

WARNING = "This model was trained on a synthetic market: its predictions say nothing about real stocks."


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Monitored:
    return monitored(tmp_path_factory.mktemp("trained") / "model.onnx")


@pytest.fixture(scope="module")
def own() -> Market:
    return generate_market(SyntheticSettings(**WORLD))


@pytest.fixture(scope="module")
def other() -> Market:
    """Another market whose tickers have the same names."""
    return generate_market(SyntheticSettings(**{**WORLD, "seed": 6}))


@pytest.mark.parametrize(
    ("source", "warning"), [("world", WARNING), ("seed", WARNING), ("market", ""), ("csv", ""), ("a plugin's", "")]
)
def test_only_a_model_of_a_generated_market_has_a_warning(source: str, warning: str):
    assert synthetic_warning(tiny_card(data_source=source)) == warning


def test_the_data_of_the_training_are_recognized(tiny: Monitored, own: Market, other: Market):
    card = tiny.model.card
    assert is_same_data(card, tiny.table)
    assert is_same_data(card, rows_of_bars(own, card))
    assert not is_same_data(card, rows_of_bars(other, card))
    assert not is_same_data(card, tiny.table[tiny.table["date"] > TRAINED_TO])  # nothing to recognize


def test_files_with_rounded_prices_are_recognized(tiny: Monitored, own: Market, tmp_path: Path):
    card = tiny.model.card
    write_frame(own.bars.round({"open": 2, "high": 2, "low": 2, "close": 2}), tmp_path / "bars.csv")
    rows = rows_of_bars(open_market(card, {"bars": str(tmp_path / "bars.csv")}), card)
    assert is_same_data(card, rows)


def test_training_rows_are_those_of_the_trained_tickers_up_to_the_end_of_training(tiny: Monitored, other: Market):
    card, keys = tiny.model.card, tiny.table
    early = (keys["date"] <= TRAINED_TO).to_numpy()
    np.testing.assert_array_equal(training_rows(card, keys, tiny.table), early)
    np.testing.assert_array_equal(training_rows(card, keys, None), early)  # unknown rows are taken for the same
    assert not training_rows(card, keys, rows_of_bars(other, card)).any()
    one = replace(card, tickers=["AAPL"])
    np.testing.assert_array_equal(training_rows(one, keys, tiny.table), early & (keys["ticker"] == "AAPL").to_numpy())


def test_a_model_of_real_bars_keeps_its_training_rows_when_prices_are_adjusted_again(tiny: Monitored):
    card = replace(tiny.model.card, data_source="market")
    paid = tiny.table.assign(stock_close=tiny.table["stock_close"] * 0.9)
    early = (paid["date"] <= TRAINED_TO).to_numpy()
    np.testing.assert_array_equal(training_rows(card, paid, paid), early)


def test_counted_weeks_of_other_tickers_are_noted(tiny: Monitored, own: Market):
    card = replace(tiny.model.card, data_source="market", tickers=["AAPL"])
    counted = tiny.table[~training_rows(card, tiny.table, tiny.table)]
    (note,) = early_notes(card, counted)
    early = (counted["date"] <= TRAINED_TO).sum()
    assert note.startswith(f"{early:,} predictions up to {TRAINED_TO} are of tickers that the model was not trained on")
    assert early_notes(tiny.model.card, tiny.table) == []


def test_every_week_of_another_market_counts(tiny: Monitored, own: Market, other: Market):
    past, foreign = market_history(tiny.model, own), market_history(tiny.model, other)
    assert past.bars["training"].any()
    assert not foreign.bars["training"].any()
    assert past.record is not None
    assert foreign.record is not None
    known = foreign.bars.dropna(subset=["p_neutral", "label"])
    assert foreign.record.card.examples == (known["label"] >= 0).sum() > past.record.card.examples


@pytest.mark.parametrize(
    ("sessions", "found"), [(59, "1 ticker, the longest with 59 sessions"), (0, "bars: found no ticker")]
)
def test_bars_that_are_too_short_are_described(tiny: Monitored, own: Market, sessions: int, found: str):
    short = replace(own, bars=own.bars.head(sessions))
    with pytest.raises(
        DataError, match=f"{found}. A prediction needs 3 complete weeks in a row after the look-back of"
    ):
        market_history(tiny.model, short)


# ---- cards of earlier versions


def earlier_card(**changes: object) -> str:
    """A card without what was added to its format."""
    content = {"format": FORMAT, **asdict(tiny_card()), **changes}
    del content["synthetic"], content["tickers"], content["training_sample"], content["extra_lag"]
    return json.dumps(content)


def test_a_card_of_an_earlier_version_is_read_and_its_training_weeks_are_those_of_every_ticker():
    card = ModelCard.from_json(earlier_card(), "model.onnx")
    assert (card.tickers, card.training_sample) == (None, {})
    keys = pd.DataFrame({"date": pd.to_datetime(["2020-12-25", "2021-01-01"]), "ticker": "NEW"})
    assert training_rows(card, keys, keys).tolist() == [True, False]
    assert early_notes(card, keys) == []


@pytest.mark.parametrize("changes", [{"format": FORMAT + 1}, {"unknown": 1}])
def test_a_card_of_another_format_is_refused(changes: dict[str, object]):
    with pytest.raises(
        RunError, match=rf"model.onnx: its model card is not of format {FORMAT}. Export the model again"
    ):
        ModelCard.from_json(earlier_card(**changes), "model.onnx")


def test_a_verdict_has_a_headline_points_and_details():
    parts = {"headline": "Yes.", "points": ["One."], "details": ["Two."]}
    card = tiny_card(verdict={"word": "better", **parts})
    assert card.verdict_parts() == {"word": "better", **parts}
    assert card.verdict_text == "Yes. One. Two."
    earlier = tiny_card(verdict={"word": "better", "paragraph": "A. B of 3.5 %. C? D e. f."})
    assert earlier.verdict_parts() == {
        "word": "better",
        "headline": "A.",
        "points": ["B of 3.5 %.", "C?"],
        "details": ["D e. f."],
    }
    assert earlier.verdict_text == "A. B of 3.5 %. C? D e. f."
