"""`import ste`: load, train, verdict, report, export and predictions, without a command line or files."""

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from exchange_calendars import get_calendar
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from sklearn.ensemble import RandomForestClassifier

import ste
from ste.config.config_files import conf_dir
from ste.config.load import compose_command
from ste.library.own_features import feature_settings
from ste.registry import FEATURE_FUNCTIONS, MODELS
from ste.schema import TARGETS

WORLD: dict[str, Any] = {
    "tickers": 4,
    "start": "2018-01-01",
    "end": "2021-12-31",
    "split": {"validation_start": "2020-06-01", "test_start": "2021-06-01"},
}
QUICK = {"scoring.resamples": 100, "trainer.threads": 1}
COMMAND = [
    *("data.tickers=4", "data.start=2018-01-01", "data.end=2021-12-31", "trainer.threads=1"),
    *("data.split.validation_start=2020-06-01", "data.split.test_start=2021-06-01", "scoring.resamples=100"),
]


@pytest.fixture(scope="module")
def world() -> ste.Dataset:
    return ste.load("world", **WORLD)


@pytest.fixture(scope="module")
def result(world: ste.Dataset) -> ste.RunResult:
    return ste.train(world, "dual_tower", epochs=2, settings=QUICK)


def bars(tickers: int = 2, days: int = 900, seed: int = 0) -> pd.DataFrame:
    """Daily bars of a random walk."""
    rng, sessions = np.random.default_rng(seed), get_calendar("XNYS").sessions
    dates = sessions[sessions >= "2015-01-01"][:days]
    frames = []
    for number in range(tickers):
        close = 50 * np.exp(np.cumsum(rng.normal(0, 0.02, days)))
        frame = pd.DataFrame({"date": dates, "ticker": f"T{number}", "close": close, "volume": 1e6})
        frames.append(frame.assign(open=close * 0.99, high=close * 1.02, low=close * 0.98))
    return pd.concat(frames, ignore_index=True)


def rows_of(data: ste.Dataset) -> pd.DataFrame:
    return data.frame.drop(columns="split")


def run_python(code: str, folder: Path) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# The package


def test_the_import_is_light_and_every_public_name_is_there(tmp_path: Path):
    heavy = ("torch", "pandas", "numpy", "hydra", "mlflow", "lightning", "sklearn")
    assert run_python(f"import sys, ste; print([x for x in {heavy} if x in sys.modules])", tmp_path) == "[]"
    assert all(getattr(ste, name) is not None for name in ste.__all__)
    assert set(ste.__all__) <= set(dir(ste))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        ste.nothing  # noqa: B018


@pytest.mark.parametrize(
    "code",
    [
        "import ste; f = ste.train; import ste.train",
        "import ste.train; f = ste.train",
        "from ste.train import main; from ste import train as f",
        "from ste import train as f; from ste.train import main",
    ],
)
def test_train_is_a_function_and_the_module_of_the_command(tmp_path: Path, code: str):
    check = "import inspect, ste; print(callable(ste.train.main), list(inspect.signature(f).parameters)[:2])"
    assert run_python(f"{code}\n{check}", tmp_path) == "True ['data', 'model']"


# Loading


def test_nothing_is_written_to_the_current_folder_or_printed(folder: Path, capsys: pytest.CaptureFixture[str]):
    data = ste.load(bars(), split={"validation": 0.3})
    ste.train(data, "mlp", epochs=1, settings=QUICK)
    assert list(folder.iterdir()) == []
    assert capsys.readouterr() == ("", "")
    place = data.files.folder
    assert place.is_dir()
    del data
    assert not place.exists()


def test_a_frame_gives_the_rows_of_its_file_in_every_shape(folder: Path):
    table = bars(days=400)
    table.to_csv("bars.csv", index=False)
    expected = rows_of(ste.load("bars.csv"))
    assert len(expected) > 100
    shapes: dict[str, Any] = {
        "long": table,
        "other names": table.rename(columns={"ticker": "Symbol", "date": "Date", "close": "Close"}),
        "dates as an index": table.set_index("date"),
        "index without a name": table.set_index("date").rename_axis(None),
        "two levels": table.set_index(["ticker", "date"]),
        "two levels without names": table.set_index(["date", "ticker"]).rename_axis([None, None]),
        "index without meaning": table.set_axis(np.arange(len(table))[::-1], axis=0),
        "categories": table.astype({"ticker": "category"}),
        "by ticker": {name: own.drop(columns="ticker") for name, own in table.groupby("ticker")},
        "several files": [Path("T0.csv"), Path("T1.csv")],
        "wide": table.pivot(index="date", columns="ticker").rename_axis(columns=[None, None]),
    }
    for name, own in table.groupby("ticker"):
        own.drop(columns="ticker").to_csv(f"{name}.csv", index=False)
    for name, source in shapes.items():
        pd.testing.assert_frame_equal(rows_of(ste.load(source)), expected, obj=name)
    one = ste.load(table[table["ticker"] == "T1"].drop(columns="ticker"), ticker="T1")
    pd.testing.assert_frame_equal(rows_of(one), expected[expected["ticker"] == "T1"].reset_index(drop=True))


def test_a_polars_table_is_read(folder: Path):
    polars = pytest.importorskip("polars")
    pd.testing.assert_frame_equal(rows_of(ste.load(polars.from_pandas(bars()))), rows_of(ste.load(bars())))


def test_a_mistake_in_a_frame_names_the_table_and_not_a_temporary_file():
    broken = bars()
    broken.loc[5, "close"] = -1.0
    with pytest.raises(ste.DataError, match=r"the table of bars: 1 fault[^$]*column close, line 6: found -1") as caught:
        ste.load(broken)
    assert caught.value._render_traceback_() == [f"DataError: {caught.value}"]
    assert "ste-" not in str(caught.value)
    assert ".parquet" not in str(caught.value)
    with pytest.raises(ste.DataError, match="found int"):
        ste.load(3)
    with pytest.raises(ste.DataError, match=r"data\.bars=no\.csv: no such file"):
        ste.load("no.csv")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"freqency": "daily"}, r"data\.freqency: no such setting.*Try data\.frequency"),
        ({"labels": {"treshold": 1}}, r"data\.labels\.treshold: no such setting"),
        ({"labels": {"threshold": -1}}, r"data\.labels\.threshold=-1"),
        ({"features": "weekly2"}, r"features=weekly2: expected one of.*Try features=weekly21"),
        ({"features": {"x": "Ref($close, -1)"}}, "features: own: column x"),
        ({"features": [3]}, "features: found int"),
    ],
)
def test_a_wrong_setting_is_one_error_with_the_valid_ones(settings: dict[str, Any], message: str):
    with pytest.raises(ste.SteError, match=message):
        ste.load("world", **{**WORLD, **settings})


def test_own_columns_are_computed_and_joined(world: ste.Dataset):
    table = bars(1)
    own = pd.DataFrame({"date": table["date"], "mood": np.arange(len(table), dtype=float)})
    columns = {"momentum": "$close/Ref($close, 60) - 1", "mood": {"expr": "$mine.mood", "unit": "ratio"}}
    data = ste.load(table, features=["volatility", columns], extra={"mine": own}, extra_lag={"mine": 0})
    close, mood = table.set_index("date")["close"], own.set_index("date")["mood"]
    momentum = (close / close.shift(60) - 1).loc[data.frame["date"]]
    np.testing.assert_allclose(data.frame["momentum"], momentum, rtol=1e-5)
    np.testing.assert_array_equal(data.frame["mood"], mood.loc[data.frame["date"]])
    assert data.features.groups["own"] == ("momentum", "mood")
    again = ste.load(table, features=data.features, extra={"mine": own}, extra_lag={"mine": 0})
    pd.testing.assert_frame_equal(again.frame, data.frame)
    assert feature_settings(ste.FeatureSet("x", data.features.columns[-2:]))[0]["name"] == "x"  # type: ignore[index]


def test_a_labelled_table_is_split_by_its_column_or_by_settings(world: ste.Dataset, folder: Path):
    frame = world.frame
    again = ste.load(frame)
    assert set(TARGETS) < set(frame)
    pd.testing.assert_frame_equal(again.frame, frame)
    by_split = {name: rows_of(world)[frame["split"].isin([name])] for name in ("train", "validation", "test")}
    assert ste.load(by_split).summary.splits["rows"].tolist() == [len(one) for one in by_split.values()]
    rows_of(world).to_csv("table.csv", index=False)
    split = {"validation_start": "2020-01-01", "test_start": "2021-01-01"}
    data = ste.load("table.csv", split=split)
    assert data.frame.loc[data.frame["split"] == "test", "date"].min().year == 2021
    with pytest.raises(ste.ConfigError, match="column split too"):
        ste.load(frame, split=split)


def test_the_summary_holds_the_notes_and_counts():
    data = ste.load(bars())
    assert any("2 tickers" in note for note in data.summary.notes)
    assert data.summary.splits["rows"].sum() == len(data) == len(data.frame)
    for text in (str(data.summary), data._repr_html_(), repr(data)):
        assert "train" in text
        assert "ste-" not in text


# Training


def test_a_result_equals_that_of_the_command(call, folder: Path, result: ste.RunResult):
    code, _, errors = call("train", "model=dual_tower", "tracking=off", "trainer.max_epochs=2", *COMMAND)
    assert code == 0, errors
    (file,) = Path("outputs").rglob("predictions.parquet")
    own = result.predictions[result.predictions["split"] != "train"].reset_index(drop=True)
    pd.testing.assert_frame_equal(pd.read_parquet(file), own, check_exact=True)


def test_the_same_seed_gives_the_same_result_and_leaves_random_states(world: ste.Dataset, result: ste.RunResult):
    torch.manual_seed(5)
    np.random.seed(5)
    expected = torch.rand(3), np.random.rand(3)
    torch.manual_seed(5)
    np.random.seed(5)
    again = ste.train(world, "dual_tower", epochs=2, settings=QUICK)
    assert torch.equal(torch.rand(3), expected[0])
    assert np.array_equal(np.random.rand(3), expected[1])
    pd.testing.assert_frame_equal(again.predictions, result.predictions, check_exact=True)
    other = ste.train(world, "dual_tower", epochs=2, seed=1, settings=QUICK)
    assert not again.predictions["p_uptrend"].equals(other.predictions["p_uptrend"])


def test_trainings_in_threads_give_the_same_result(world: ste.Dataset, result: ste.RunResult):
    results: list[ste.RunResult] = []

    def work() -> None:
        results.append(ste.train(world, "dual_tower", epochs=2, settings=QUICK))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 2
    for one in results:
        pd.testing.assert_frame_equal(one.predictions, result.predictions, check_exact=True)


def test_other_trainings_on_the_data_count_as_trials():
    data = ste.load("world", **{**WORLD, "seed": 77})
    counts = [ste.train(data, "logistic", seed=seed, settings=QUICK).run.trials for seed in (0, 1, 0)]
    assert counts == [1, 2, 2]


def test_a_result_shows_verdict_scores_and_page(result: ste.RunResult, tmp_path: Path):
    assert result.verdict.word
    assert str(result.verdict) == result.verdict.summary
    assert result.verdict.headline in result._repr_html_()
    accuracy = result.scores.loc[("test", "DualTowerModel"), "accuracy"]
    own = result.predictions.query("split == 'test'")
    names = [f"p_{name.lower()}" for name in result.dataset.classes]
    assert accuracy == pytest.approx((own[names].to_numpy().argmax(axis=1) == own["label"]).mean())
    assert "logistic" not in result.scores.index.get_level_values("model")
    assert len(result.history) == 2
    page = result.report(importance=False)
    assert page.save(tmp_path / "page.html").read_text() == page.html
    assert result.call.replace('"', "&#34;")[:9] in page.html
    assert result.verdict.headline.split(",")[0] in page.html
    assert "<iframe" in page._repr_html_()
    saved = result.save(tmp_path / "run")
    assert {"config.yaml", "summary.json", "predictions.parquet"} <= {one.name for one in saved.iterdir()}


def test_walk_forward_and_sections_are_settings_of_the_command(world: ste.Dataset):
    result = ste.train(
        world, "logistic", validation={"method": "walk_forward", "folds": 2}, fit={"monitor": "mcc"}, settings=QUICK
    )
    assert set(result.predictions["fold"]) == {0, 1}
    assert result.settings["fit"]["monitor"] == "mcc"
    assert result.settings["validation"]["folds"] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "lstmm"}, "model=lstmm: expected one of.*Try model=lstm"),
        ({"model": 3}, "model: found 3. Expected a name"),
        ({"optimizer": "adm"}, "optimizer"),
        ({"epohcs": 3}, "epohcs: no such setting"),
        ({"epochs": 0}, "trainer.max_epochs"),
        ({"settings": {"optimizer.lrate": 1}}, r"optimizer\.lrate: no such setting"),
        ({"settings": {"data.frequency": "daily"}}, r"data\.frequency: is a setting of the data. Give it to ste\.load"),
        ({"validation": {"folds": 1}}, r"validation\.folds=1"),
    ],
)
def test_a_wrong_argument_is_one_error(world: ste.Dataset, arguments: dict[str, Any], message: str):
    with pytest.raises(ste.SteError, match=message):
        ste.train(world, **arguments)


def test_a_run_is_tracked_on_request(folder: Path, world: ste.Dataset):
    result = ste.train(world, "majority", tracking=True, name="mine", settings=QUICK)
    assert result.run_id
    assert Path("outputs/mlflow.db").is_file()


# Own components


def define_net(bias: float) -> type[torch.nn.Module]:
    class OwnNet(torch.nn.Module):
        input_view = "flat"

        def __init__(self, input_size: int, num_classes: int, hidden_size: int = 4) -> None:
            super().__init__()
            self.layers = torch.nn.Sequential(torch.nn.Linear(input_size, hidden_size), torch.nn.ReLU())
            self.head = torch.nn.Linear(hidden_size, num_classes)
            torch.nn.init.constant_(self.head.bias, bias)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.layers(x))

    return OwnNet


def test_an_own_net_is_trained_exported_and_may_be_defined_again(world: ste.Dataset, tmp_path: Path):
    try:
        first = ste.train(world, define_net(0.0), epochs=1, settings={**QUICK, "model.hidden_size": 3})
        assert first.model.net.layers[0].out_features == 3
        second = ste.train(world, define_net(9.0), epochs=1, settings=QUICK)
        assert second.model.net.layers[0].out_features == 4
        model = second.export(tmp_path / "own.onnx")
        names = list(world.features.names)
        table = world.frame[world.frame["split"] == "test"][["date", "ticker", *names]]
        own = second.predictions.query("split == 'test'").reset_index(drop=True)
        predicted = model.predict(table)
        both = predicted.merge(own, on=["date", "ticker"], suffixes=("", "_trained"))
        assert len(both) == len(own) > 50
        np.testing.assert_allclose(both["p_uptrend"], both["p_uptrend_trained"], atol=1e-5)
        assert ste.load_model(tmp_path / "own.onnx").card.name == "OwnNet"
        assert "OwnNet" in model._repr_html_()
    finally:
        MODELS.remove("OwnNet")


def test_an_estimator_is_trained(world: ste.Dataset):
    forest = RandomForestClassifier(n_estimators=5, max_depth=2)
    result = ste.train(world, forest, settings=QUICK)
    assert result.run.model == "RandomForestClassifier"
    by_name = {"model.estimator": "sklearn.ensemble.RandomForestClassifier"}
    arguments = {"model.arguments": {"n_estimators": 5, "max_depth": 2}}
    named = ste.train(world, "sklearn", settings={**QUICK, **by_name, **arguments})
    pd.testing.assert_frame_equal(named.predictions, result.predictions, check_exact=True)


def test_bars_are_predicted_with_a_function_of_the_user(tmp_path: Path):
    table = bars(3)

    @ste.register("feature", lookback=5)
    def own_range(high: np.ndarray, low: np.ndarray) -> np.ndarray:
        return (pd.Series(high).rolling(5).max() / pd.Series(low).rolling(5).min() - 1).to_numpy()

    try:
        data = ste.load(table, features=["volatility", {"range5": "own_range($high, $low)"}], split={"validation": 0.3})
        result = ste.train(data, "mlp", epochs=1, settings=QUICK)
        predicted = result.predict(table)
        own = result.predictions.query("split == 'test'")
        both = predicted.merge(own, on=["date", "ticker"], suffixes=("", "_trained"))
        assert len(both) == len(own) > 50
        np.testing.assert_allclose(both["p_uptrend"], both["p_uptrend_trained"], atol=1e-5)
        newest = result.predict(table, latest=True)
        assert newest["ticker"].tolist() == ["T0", "T1", "T2"]
        faulty = table.copy()
        faulty.loc[10, "close"] = -1.0
        with pytest.warns(UserWarning, match="1 rows rejected"):
            result.predict(faulty)
    finally:
        FEATURE_FUNCTIONS.remove("own_range")


# Hydra


def test_composing_leaves_the_state_of_a_program_that_uses_hydra():
    assert not GlobalHydra.instance().is_initialized()
    compose_command("train", [])
    assert not GlobalHydra.instance().is_initialized()
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        ste.load("world", **WORLD)
        assert compose("train", overrides=["seed=3"]).seed == 3
    assert not GlobalHydra.instance().is_initialized()


def test_a_function_that_is_registered_again_replaces_the_first():
    def define(factor: float) -> None:
        @ste.register("feature", lookback=1)
        def scaled(x: np.ndarray) -> np.ndarray:
            return factor * x

    try:
        columns = {"twice": "scaled($close)"}
        define(2.0)
        first = ste.load(bars(1), features=["volatility", columns]).frame
        define(3.0)
        second = ste.load(bars(1), features=["volatility", columns]).frame
        np.testing.assert_allclose(second["twice"], first["twice"] * 1.5, rtol=1e-6)
    finally:
        FEATURE_FUNCTIONS.remove("scaled")
