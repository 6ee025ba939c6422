"""The synthetic world: the same settings give the same bytes, and what it says of its own probabilities is true."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from feature_sets import COLUMNS, FEATURES, WEEKLY21
from ste.config import LabelSettings, SyntheticSettings, TableSettings
from ste.data.build.data_card import PreparedData
from ste.data.build.labelled_rows import build_table
from ste.data.build.prepare import prepare
from ste.data.storage.files import read_frame, sha256
from ste.data.storage.tables import read_table
from ste.errors import ConfigError, DataError
from ste.features.feature_rows import feature_rows
from ste.labels.targets import future_returns
from ste.labels.thresholds import directions
from ste.market.calendar import WEEKS
from ste.schema import DIRECTION, KEYS, RETURN, ROW_PERIOD, class_names, probability_names
from ste.synthetic import generator as drawing
from ste.synthetic import return_model as model
from ste.synthetic.generator import SEED_TICKERS, generate_market, ticker_names

PROBABILITIES = probability_names(class_names(3))


def small(**changes: object) -> SyntheticSettings:
    return replace(SyntheticSettings(source="world", tickers=3, start="2020-01-01", end="2020-12-31"), **changes)


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file that was built, by its path below `folder`; the empty lock aside."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


# --- the same settings, the same bytes ---


@pytest.mark.parametrize("changes", [{}, {"format": "parquet"}, {"labels": LabelSettings(horizon=2)}, {"signal": 0.0}])
def test_the_same_settings_give_the_same_bytes(tmp_path: Path, changes: dict[str, object]) -> None:
    first, second = (prepare(small(**changes), tmp_path / name) for name in ("one", "two"))
    assert not first.reused
    assert not second.reused
    one, two = files_of(tmp_path / "one"), files_of(tmp_path / "two")
    assert len(one) == (5 if first.truth is None else 6)
    assert one == two
    assert first.digest == second.digest


@pytest.mark.parametrize(
    "changes", [{"seed": 1}, {"signal": 0.3}, {"tickers": 4}, {"labels": LabelSettings(threshold=0.02)}]
)
def test_other_settings_give_another_table_in_another_folder(tmp_path: Path, changes: dict[str, object]) -> None:
    first, second = prepare(small(), tmp_path), prepare(small(**changes), tmp_path)
    assert first.digest != second.digest
    assert first.files["train"].parent != second.files["train"].parent


def test_settings_of_the_view_alone_use_the_same_table(tmp_path: Path) -> None:
    first = prepare(small(), tmp_path)
    second = prepare(small(sequence_length=9, batch_size=5, representation="standard"), tmp_path)
    assert second.reused
    assert first.files == second.files


def test_a_draw_of_one_part_does_not_depend_on_the_signal() -> None:
    weak, strong = generate_market(small(signal=0.0)), generate_market(small(signal=0.4))
    for part in ("news", "macro", "policy"):
        pd.testing.assert_frame_equal(getattr(weak, part), getattr(strong, part), check_exact=True)
    assert not weak.bars["close"].equals(strong.bars["close"])


def test_tickers_are_the_seed_documents_first_and_always_sorted() -> None:
    assert ticker_names(7) == sorted(SEED_TICKERS)
    assert set(ticker_names(9)) == {*SEED_TICKERS, "T0007", "T0008"}
    assert ticker_names(["Z", "A"]) == ["A", "Z"]
    assert set(generate_market(small(tickers=["MSFT", "AAPL"])).bars["ticker"]) == {"AAPL", "MSFT"}


def test_a_worlds_bars_could_be_a_markets() -> None:
    bars = generate_market(small()).bars
    assert (bars["high"] >= bars[["open", "close", "low"]].max(axis=1)).all()
    assert (bars["low"] <= bars[["open", "close"]].min(axis=1)).all()
    assert (bars["low"] > 0).all()
    assert (bars["volume"] >= 0).all()
    assert bars.equals(bars.sort_values(["ticker", "date"]))
    assert not bars.duplicated(["ticker", "date"]).any()


@pytest.mark.parametrize("horizon", [1, 4])
def test_every_week_of_the_asked_span_has_every_ticker(horizon: int) -> None:
    settings = small(labels=LabelSettings(horizon=horizon))
    table, *_ = build_table(settings)
    weeks = np.unique(WEEKS.index(table["date"]))
    assert len(table) == 3 * len(weeks)
    assert (np.diff(weeks) == 1).all()
    assert len(weeks) == 53  # the first ends on 3 January, the last on 31 December: New Year 2021 is a Friday
    assert table["date"].min() >= pd.Timestamp(settings.start)
    assert table["date"].max() <= pd.Timestamp(settings.end)


# --- the law ---


def test_the_law_of_the_table_is_the_law_that_the_prices_were_drawn_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """Means, risks and shocks, recorded while the world is drawn and found again in its table."""
    moments, shocks = [], []
    as_it_is, blend = model.moments, drawing._blend

    def recorded(signal: float, risk_log: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        moments.append(as_it_is(signal, risk_log, edges))
        return moments[-1]

    def recorded_blend(*given: object) -> tuple[np.ndarray, np.ndarray]:
        drawn = blend(*given)
        shocks.append(drawn[0])
        return drawn

    settings = small(tickers=5, end="2021-12-31")
    with monkeypatch.context() as patch:
        patch.setattr(model, "moments", recorded)
        patch.setattr(drawing, "_blend", recorded_blend)
        market = generate_market(settings)
    rows = feature_rows(market, "weekly", WEEKLY21)
    mu, sigma = model.table_moments(rows, settings.signal)
    first_week = WEEKS.index(market.bars["date"]).min()
    # The moments of week w were drawn at the close of week w - 1, tickers in the bars' order.
    coming = (rows[ROW_PERIOD] + 1 - first_week).to_numpy()
    ticker = pd.factorize(rows["ticker"])[0]
    known = (coming < len(moments)) & ~np.isnan(mu)
    assert known.sum() > 5 * 100
    drawn = np.array(moments)[coming[known], :, ticker[known]]
    np.testing.assert_allclose(mu[known], drawn[:, 0], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(sigma[known], drawn[:, 1], rtol=1e-9)

    labelled = future_returns(rows.assign(mu=mu, sigma=sigma), horizon=1).dropna()
    standardised = ((np.log1p(labelled[RETURN]) - labelled["mu"]) / labelled["sigma"]).to_numpy()
    at = (labelled[ROW_PERIOD] + 1 - first_week).to_numpy(), pd.factorize(labelled["ticker"])[0]
    np.testing.assert_allclose(standardised, shocks[0][at], atol=1e-8)


def test_the_law_by_hand() -> None:
    usual = {"vix": np.array(model.VIX), "count": np.array(model.NEWS - 1.0)}  # no stress, no attention
    assert model.risk(np.array(model.VIX), np.array(model.BAND)) == 0.0
    np.testing.assert_allclose(model.risk(np.array(2.0 * model.VIX), np.array(0.5 * model.BAND)), 0.1 * np.log(2.0))
    assert model.risk(np.array(1000.0), np.array(1.0)) == model.RANGE
    memory, place = np.array(model.SENTIMENT), np.array(1.0)
    np.testing.assert_allclose(model.edge(memory, band_position=place, **usual), 0.85)
    crowd = usual | {"count": np.array(model.NEWS * np.e - 1.0)}
    np.testing.assert_allclose(model.edge(memory * 0.0, band_position=place * 9.0, **crowd), 0.8 * 1.5 * np.tanh(1.0))
    panic = usual | {"vix": np.array(model.VIX * np.exp(0.3))}
    np.testing.assert_allclose(model.edge(memory, band_position=place, **panic), 0.85 * (1.0 + 0.6 * np.tanh(1.0)))
    mu, sigma = model.moments(0.2, np.array(0.5), np.array(2.0))
    np.testing.assert_allclose(sigma, 0.03 * np.exp(0.25))  # at half the default signal half of the risk shows
    np.testing.assert_allclose(mu, 0.002 + 0.2 * sigma * 2.0)


@pytest.fixture(scope="module")
def large() -> Callable[[float], pd.DataFrame]:
    """Labelled weeks of 30 tickers over 25 years, with the law's mu and sigma, by signal."""
    drawn: dict[float, pd.DataFrame] = {}

    def rows_at(signal: float) -> pd.DataFrame:
        if signal not in drawn:
            settings = SyntheticSettings(
                source="world", tickers=30, start="1995-01-01", end="2019-12-31", signal=signal
            )
            rows = feature_rows(generate_market(settings), "weekly", WEEKLY21)
            rows["mu"], rows["sigma"] = model.table_moments(rows, signal)
            drawn[signal] = future_returns(rows, horizon=1).dropna().reset_index(drop=True)
        return drawn[signal]

    return rows_at


def week_sums(values: np.ndarray, weeks: np.ndarray) -> np.ndarray:
    return np.bincount(weeks - weeks.min(), weights=values)


def z_of_mean(values: np.ndarray, weeks: np.ndarray) -> float:
    """Mean over its standard error, where the tickers of a week move together and weeks do not."""
    sums = week_sums(values, weeks)
    return float(sums.sum() / np.sqrt((sums**2).sum()))


def shocks_of(rows: pd.DataFrame) -> np.ndarray:
    return ((np.log1p(rows[RETURN]) - rows["mu"]) / rows["sigma"]).to_numpy()


@pytest.mark.parametrize("signal", [0.0, 0.15, 0.4, 1.0])
def test_standardised_returns_are_standard_normal(large: Callable[[float], pd.DataFrame], signal: float) -> None:
    rows = large(signal)
    shocks, weeks = shocks_of(rows), rows[ROW_PERIOD].to_numpy()
    assert len(shocks) > 35_000
    assert abs(z_of_mean(shocks, weeks)) < 3.5
    assert abs(z_of_mean(shocks**2 - 1.0, weeks)) < 3.5
    # One ticker's weeks are independent: a plain test of normality holds for each.
    p_values = [stats.kstest(shocks[rows["ticker"] == ticker], "norm").pvalue for ticker in rows["ticker"].unique()]
    assert min(p_values) > 0.05 / len(p_values) / 10
    for lag in (1, 2):
        own = pd.Series(shocks).groupby(rows["ticker"]).shift(lag)
        assert abs(z_of_mean((shocks * own).fillna(0.0).to_numpy(), weeks)) < 3.5


def calibration(probs: np.ndarray, classes: np.ndarray, weeks: np.ndarray) -> list[float]:
    """For every class and tenth of its probabilities: predicted less realised frequency in standard errors."""
    scores = []
    for code in range(3):
        predicted, realised = probs[:, code], classes == code
        edges = np.quantile(predicted, np.linspace(0.0, 1.0, 11))
        tenth = np.clip(np.searchsorted(edges, predicted, side="right") - 1, 0, 9)
        for number in range(10):
            inside = tenth == number
            assert inside.sum() > 1000
            scores.append(z_of_mean((predicted[inside] - realised[inside]), weeks[inside]))
    return scores


@pytest.mark.parametrize("signal", [0.15, 0.4, 1.0])
@pytest.mark.parametrize("method", ["fixed", "volatility"])
def test_truth_is_calibrated_against_the_worlds_own_draws(
    large: Callable[[float], pd.DataFrame], signal: float, method: str
) -> None:
    rows = large(signal)
    high = np.full(len(rows), 0.01) if method == "fixed" else 0.4 * rows["volatility"].to_numpy()
    classes = directions(rows[RETURN].to_numpy(), -high, high)
    mu, sigma, weeks = rows["mu"].to_numpy(), rows["sigma"].to_numpy(), rows[ROW_PERIOD].to_numpy()
    probs = model.probabilities(mu, sigma, -high, high)
    np.testing.assert_allclose(probs.sum(axis=1), 1.0)
    assert (probs >= 0).all()
    assert np.abs(calibration(probs, classes, weeks)).max() < 4.0
    # The bins can tell: a law that is a little off is found out.
    for wrong in (
        model.probabilities(mu + 0.25 * sigma, sigma, -high, high),
        model.probabilities(mu, 1.2 * sigma, -high, high),
    ):
        assert np.abs(calibration(wrong, classes, weeks)).max() > 6.0


@pytest.mark.parametrize(("threshold", "low", "high"), [(0.01, -0.01, 0.01), (0.0, 0.0, 0.0), (0.3, -0.3, 0.3)])
def test_probabilities_are_areas_under_the_normal_law(threshold: float, low: float, high: float) -> None:
    mu, sigma = np.array([0.0, 0.01, -0.05]), np.array([0.03, 0.02, 0.08])
    found = model.probabilities(mu, sigma, np.full(3, low), np.full(3, high))
    down = stats.norm.cdf(np.log(1.0 + low), mu, sigma)
    up = stats.norm.sf(np.log(1.0 + high), mu, sigma)
    np.testing.assert_allclose(found, np.stack([down, 1.0 - down - up, up], axis=1), atol=1e-15)


# --- the null world ---


def test_without_signal_the_truth_is_the_same_for_every_row(tmp_path: Path) -> None:
    prepared = prepare(small(signal=0.0), tmp_path)
    assert prepared.truth is not None
    truth = read_frame(prepared.truth)
    assert len(truth) > 100
    assert len(truth[list(PROBABILITIES)].drop_duplicates()) == 1
    expected = model.probabilities(
        np.array([model.DRIFT]), np.array([model.SIGMA]), np.array([-0.01]), np.array([0.01])
    )
    np.testing.assert_allclose(truth[list(PROBABILITIES)].to_numpy()[:1], expected, rtol=1e-9)


def correlations(rows: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """How each feature goes with the coming week's return, and with its size, in standard errors."""
    shocks, weeks = (
        (np.log1p(rows[RETURN]) - model.DRIFT).to_numpy() / model.SIGMA,
        rows[ROW_PERIOD].to_numpy(),
    )
    size = shocks**2 - np.mean(shocks**2)
    out = {}
    for name in FEATURES:
        rank = rows[name].rank().to_numpy() / len(rows) - 0.5
        out[name] = z_of_mean(rank * shocks, weeks), z_of_mean(rank * size, weeks)
    return out


def test_without_signal_no_feature_goes_with_the_coming_week(large: Callable[[float], pd.DataFrame]) -> None:
    found = correlations(large(0.0))
    assert len(found) == 21
    assert max(abs(z) for pair in found.values() for z in pair) < 3.8  # of 42
    # The same look finds what there is where there is a signal.
    signal = correlations(large(0.4))
    assert signal["news_sentiment"][0] > 8.0
    assert signal["macro_vix"][1] > 8.0


# --- truth and tables ---


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    return prepare(small(), tmp_path_factory.mktemp("world"))


def test_the_truth_has_a_row_for_every_row_of_the_tables(prepared: PreparedData) -> None:
    assert prepared.truth is not None
    truth = read_frame(prepared.truth)
    tables = pd.concat([read_frame(path) for path in prepared.files.values()])
    assert truth.columns.tolist() == [*KEYS, *PROBABILITIES]
    pd.testing.assert_frame_equal(
        truth[list(KEYS)].reset_index(drop=True), tables[list(KEYS)].reset_index(drop=True), check_exact=True
    )
    probs = truth[list(PROBABILITIES)].to_numpy()
    np.testing.assert_allclose(probs.sum(axis=1), 1.0, atol=1e-9)
    assert probs.std(axis=0).min() > 0.01


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_the_truth_is_no_column_of_a_table(tmp_path: Path, form: str) -> None:
    for path in prepare(small(format=form), tmp_path).files.values():
        columns = read_frame(path).columns.tolist()
        assert columns == list(COLUMNS)
        assert not {*PROBABILITIES, "mu", "sigma", "volatility", "week", "split"} & set(columns)


def test_there_is_no_truth_for_two_weeks_ahead(tmp_path: Path) -> None:
    prepared = prepare(small(labels=LabelSettings(horizon=2)), tmp_path)
    assert prepared.truth is None
    assert prepared.card["truth"] is None
    assert not list(tmp_path.rglob("truth*"))


def test_the_card_agrees_with_the_files(prepared: PreparedData) -> None:
    folder = prepared.files["train"].parent
    cards = list(folder.glob("data_card_*.json"))
    assert len(cards) == 1
    card = json.loads(cards[0].read_text())
    assert card == prepared.card
    assert set(card["files"]) == {"train", "validation", "test"}
    for split, entry in card["files"].items():
        table = read_table(folder / entry["file"], WEEKLY21)
        assert entry["sha256"] == sha256(prepared.files[split])
        assert entry["rows"] == len(table)
        assert entry["periods"] == table["date"].nunique()
        assert entry["tickers"] == 3
        assert (entry["first"], entry["last"]) == tuple(table["date"].dt.strftime("%Y-%m-%d").iloc[[0, -1]])
        counts = table[DIRECTION].value_counts()
        assert entry["classes"] == {name: counts.get(code, 0) for code, name in enumerate(class_names(3))}
    assert prepared.truth is not None
    assert card["truth"] == {"file": prepared.truth.name, "sha256": sha256(prepared.truth)}
    assert card["features"] == list(FEATURES)
    assert card["seed"] == 0
    assert set(files_of(folder)) == {
        f"{name}_20200101-20201231.{kind}"
        for name, kind in (
            ("training_data", "csv"),
            ("validation_data", "csv"),
            ("test_data", "csv"),
            ("truth", "csv"),
            ("trading", "csv"),
            ("data_card", "json"),
        )
    }


# --- built once, used again ---


def test_what_is_there_already_is_used_again(tmp_path: Path) -> None:
    first = prepare(small(), tmp_path)
    stamps = {path: path.stat().st_mtime_ns for path in first.files.values()}
    second = prepare(small(), tmp_path)
    assert (first.reused, second.reused) == (False, True)
    assert (second.files, second.truth, second.card) == (first.files, first.truth, first.card)
    assert {path: path.stat().st_mtime_ns for path in second.files.values()} == stamps


def test_a_folder_of_ones_own_is_built_again_when_the_settings_change(tmp_path: Path) -> None:
    own = str(tmp_path / "own")
    first = prepare(small(folder=own), tmp_path)
    second = prepare(small(folder=own, seed=1), tmp_path)
    assert not second.reused
    assert first.digest != second.digest
    assert second.files == first.files
    third = prepare(small(folder=own), tmp_path)
    assert not third.reused
    assert third.digest == first.digest


def test_files_of_older_settings_do_not_outlive_them(tmp_path: Path) -> None:
    own = str(tmp_path / "own")
    prepare(small(folder=own), tmp_path)
    second = prepare(small(folder=own, format="parquet", labels=LabelSettings(horizon=2)), tmp_path)
    named = {path.name for path in second.files.values()}
    assert set(files_of(tmp_path / "own")) == named | {
        "data_card_20200101-20201231.json",
        "trading_20200101-20201231.parquet",
    }


@pytest.mark.parametrize("what", ["train", "test", "truth"])
def test_a_file_edited_by_hand_is_told_and_left_alone(tmp_path: Path, what: str) -> None:
    first = prepare(small(), tmp_path)
    path = first.truth if what == "truth" else first.files[what]
    assert path is not None
    edited = path.read_text().replace("AAPL", "APPL", 1)
    path.write_text(edited)
    with pytest.raises(DataError, match="was changed since it was built") as caught:
        prepare(small(), tmp_path)
    assert str(path) in str(caught.value)
    assert path.read_text() == edited
    path.unlink()  # as the message says
    assert prepare(small(), tmp_path).digest == first.digest


def test_a_build_that_was_killed_before_its_card_is_built_again(tmp_path: Path) -> None:
    first = prepare(small(), tmp_path)
    whole = files_of(tmp_path)
    folder = first.files["train"].parent
    next(folder.glob("data_card_*.json")).unlink()
    first.files["validation"].unlink()
    first.files["train"].write_bytes(first.files["train"].read_bytes()[:1000])
    assert not prepare(small(), tmp_path).reused
    assert files_of(tmp_path) == whole


def test_a_build_that_stops_in_the_middle_is_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ste.data.build import prepare as room

    written: list[Path] = []
    write = room.write_frame

    def stopped(frame: pd.DataFrame, path: Path) -> None:
        if written:
            raise KeyboardInterrupt
        written.append(path)
        write(frame, path)

    prepare(small(folder=str(tmp_path / "own"), seed=1), tmp_path)  # an older table is in the way
    older = files_of(tmp_path / "own")
    with monkeypatch.context() as patch:
        patch.setattr(room, "write_frame", stopped)
        with pytest.raises(KeyboardInterrupt):
            prepare(small(folder=str(tmp_path / "own")), tmp_path)
    assert files_of(tmp_path / "own") == older
    again = prepare(small(folder=str(tmp_path / "own")), tmp_path)
    assert again.digest == prepare(small(), tmp_path).digest


@pytest.mark.parametrize("content", ["", "{", '{"identity": 1}'])
def test_a_card_that_cannot_be_used_is_written_anew(tmp_path: Path, content: str) -> None:
    first = prepare(small(), tmp_path)
    card = next(first.files["train"].parent.glob("data_card_*.json"))
    whole = card.read_text()
    card.write_text(content)
    assert not prepare(small(), tmp_path).reused
    assert card.read_text() == whole


# --- ready tables ---


def ready(prepared: PreparedData, folder: Path, **files: str) -> TableSettings:
    for path in prepared.files.values():
        shutil.copy(path, folder)
    named = {split: str(folder / path.name) for split, path in prepared.files.items()} | files
    return TableSettings(source="csv", **named)


def test_a_worlds_tables_can_be_used_as_ready_ones(prepared: PreparedData, tmp_path: Path) -> None:
    found = prepare(ready(prepared, tmp_path), tmp_path / "unused")
    assert found.digest == prepared.digest
    assert found.truth is None
    assert found.card["files"] == prepared.card["files"]
    assert not (tmp_path / "unused").exists()


def test_table_files_that_overlap_in_time_are_told(prepared: PreparedData, tmp_path: Path) -> None:
    train = str(tmp_path / prepared.files["train"].name)
    with pytest.raises(DataError, match=r"Expected train, validation and test in date order\s+without overlap"):
        prepare(ready(prepared, tmp_path, validation=train), tmp_path)


# --- settings ---


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"signal": 1.5}, "data.signal=1.5"),
        ({"signal": -0.1}, "data.signal=-0.1"),
        ({"tickers": 0}, "data.tickers=0"),
        ({"tickers": []}, "data.tickers=[]"),
        ({"tickers": ["A", "A"]}, "data.tickers=['A', 'A']"),
        ({"start": "2020-02-30"}, "data.start=2020-02-30"),
        ({"start": "2021-06-01"}, "data.end=2020-12-31"),
        ({"seed": -1}, "data.seed=-1"),
    ],
)
def test_a_world_that_cannot_be_drawn_is_refused_by_its_settings(changes: dict[str, object], key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        small(**changes)
    assert str(caught.value).startswith(key)


@pytest.mark.parametrize("edited", ["no card", "edited since"])
def test_a_persons_own_file_is_never_overwritten(tmp_path: Path, edited: str) -> None:
    folder = tmp_path / "shared"
    built = prepare(small(folder=str(folder), seed=1), tmp_path)
    own = built.files["train"]
    if edited == "no card":
        next(folder.glob("data_card_*.json")).unlink()
    own.write_text("mine\n")
    with pytest.raises(DataError, match=r"is there already and was not built by these settings.*data\.folder=DIR"):
        prepare(small(folder=str(folder), seed=2), tmp_path)
    assert own.read_text() == "mine\n"


def test_table_files_whose_labels_look_further_ahead_than_stated_are_refused(tmp_path: Path) -> None:
    far = prepare(small(labels=LabelSettings(horizon=3)), tmp_path)
    settings = ready(far, tmp_path)
    with pytest.raises(DataError, match=r"is the return over 3 weeks.*Try data\.labels\.horizon=3"):
        prepare(settings, tmp_path)
    stated = TableSettings(
        source="csv",
        train=settings.train,
        validation=settings.validation,
        test=settings.test,
        labels=LabelSettings(horizon=3),
    )
    assert prepare(stated, tmp_path).digest == far.digest
