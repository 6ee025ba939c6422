"""A package outside the repository, one file for each component, from training to the live pipeline.

The commands run as a user types them: in processes of their own, in an empty folder.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from conftest import Call
from plugin_files import forgotten_plugins
from service import JSON, serving
from ste.config import SyntheticSettings
from ste.inference.onnx_model import ServedModel
from ste.plugins import load_plugin
from ste.synthetic.generator import generate_market

PACKAGE = {
    "__init__.py": '''
"""Components of a research group."""

from user_group import features, label, loss, metric, net
''',
    "features.py": """
import numpy as np

import ste


@ste.register("feature", lookback=lambda n: n)
def Spread(high: np.ndarray, low: np.ndarray, n: int) -> np.ndarray:
    windows = np.lib.stride_tricks.sliding_window_view
    out = np.full(len(high), np.nan)
    out[n - 1 :] = windows(high, n).max(axis=1) / windows(low, n).min(axis=1) - 1
    return out
""",
    "conf/feature_sets/group_set.yaml": """
columns:
  - {name: spread, expr: 'Spread($high, $low, 10)', group: range}
  - {name: momentum, expr: '$close / Ref($close, 20) - 1', group: momentum}
  - {name: momentum_rank, expr: '$close / Ref($close, 10)', scale: rank, group: momentum}
  - {name: mood, expr: 'Mean($mine.mood, 5)', group: mood, fill: 0}
  - {name: size, expr: Log($mine.size), group: mood, fill: 0}
""",
    "label.py": '''
import numpy as np

import ste
from ste.labels.label_method import NO_TREND, LabelRows, Labels


@ste.register("label")
def next_close(rows: LabelRows, least: float = 0.01) -> Labels:
    """The return to the session after the row's period; known within one period."""
    bars, at = rows.bars, np.minimum(rows.bar + 1, len(rows.bars.close) - 1)
    known = (bars.history[at] == bars.history[rows.bar]) & (at > rows.bar) & (bars.period[at] == rows.period + 1)
    change = np.where(known, bars.close[at] / rows.close - 1.0, np.nan)
    classes = 1 + (change > least).astype(np.int64) - (change < -least)
    return Labels(np.where(known, classes, NO_TREND), change, np.where(known, 1, 0))
''',
    "net.py": """
import torch
from torch import nn

import ste


@ste.register("model")
class GroupNet(nn.Module):
    input_view = "sequence"

    def __init__(self, input_size: int, num_classes: int, hidden_size: int = 8) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(input_size)
        self.recurrent = nn.GRU(input_size, hidden_size, batch_first=True)
        self.head = nn.Linear(hidden_size, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.recurrent(self.norm(x.transpose(1, 2)).transpose(1, 2))[0][:, -1])
""",
    "conf/model/group_net.yaml": "net: GroupNet   # of the group\nhidden_size: 8   # units of its layer\n",
    "conf/model/group_forest.yaml": """
baseline: Estimator   # of scikit-learn
estimator: sklearn.ensemble.RandomForestClassifier
inputs: last
arguments: {n_estimators: 10, max_depth: 3}
""",
    "loss.py": """
import torch

import ste
from ste.training.losses.base import Loss


@ste.register("loss")
class squares(Loss):
    def values(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        probs = logits.softmax(dim=-1)
        return (probs - self.fractions(target, probs)).square().sum(dim=-1)
""",
    "metric.py": """
import numpy as np

import ste


@ste.register("metric", low=0.0, high=1.0, higher_is_better=True)
def truth(examples):
    return examples.mean(examples.probs[np.arange(len(examples.labels)), examples.labels])
""",
}
COLUMNS = ("spread", "momentum", "momentum_rank", "mood", "size")
WINDOW = 4
DATA = [
    *("plugins=[user_group]", "data=market", "data.bars=bars.csv", "data.extra.mine=mine.csv", "data.extra_lag.mine=1"),
    *("features=[group_set]", "data.labels.method=next_close", "+data.labels.least=0.008"),
    *("data.split.validation_start=2020-06-01", "data.split.test_start=2021-01-04", f"data.sequence_length={WINDOW}"),
]
RUN = [
    *DATA,
    *("fit.monitor=truth", "trainer.max_epochs=2", "trainer.threads=1", "scoring.resamples=100"),
    *("trainer.enable_progress_bar=false",),
]
NET = ["model=group_net", "fit.loss=squares"]
KEYS = ["date", "ticker"]
PROBS = ["p_downtrend", "p_neutral", "p_uptrend"]


def write_package(folder: Path) -> None:
    for name, text in PACKAGE.items():
        path = folder / "user_group" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.lstrip("\n"))


def write_market(folder: Path) -> None:
    """Bars of a synthetic market, and own values of some sessions of each ticker."""
    settings = SyntheticSettings(source="world", tickers=4, start="2019-06-01", end="2021-06-30", seed=3)
    bars = generate_market(settings).bars
    bars.to_csv(folder / "bars.csv", index=False)
    rng = np.random.default_rng(0)
    own = bars[["ticker", "date"]][rng.random(len(bars)) < 0.4].reset_index(drop=True)
    values = {"mood": rng.normal(size=len(own)).round(4), "size": rng.uniform(1, 9, len(own)).round(4)}
    own.assign(**values).to_csv(folder / "mine.csv", index=False)


def expected_rows(folder: Path) -> pd.DataFrame:
    """The columns of the set at each week's last session, computed with pandas alone."""
    bars = pd.read_csv(folder / "bars.csv", parse_dates=["date"])
    own = pd.read_csv(folder / "mine.csv", parse_dates=["date"])
    own["known"] = own["date"] + pd.Timedelta(days=1)
    parts = []
    for ticker, one in bars.groupby("ticker"):
        known = own[own["ticker"] == ticker][["known", "mood", "size"]].sort_values("known")
        joined = pd.merge_asof(one.sort_values("date"), known, left_on="date", right_on="known").set_index("date")
        high, low = joined["high"].rolling(10).max(), joined["low"].rolling(10).min()
        columns = {
            "ticker": ticker,
            "spread": high / low - 1,
            "momentum": joined["close"].pct_change(20),
            "ratio": joined["close"] / joined["close"].shift(10),
            "mood": joined["mood"].rolling(5, min_periods=1).mean().fillna(0),
            "size": np.log(joined["size"]).fillna(0),
        }
        parts.append(pd.DataFrame(columns))
    rows = pd.concat(parts).reset_index()
    rows["momentum_rank"] = rows.groupby("date")["ratio"].rank(pct=True)
    return rows.set_index(KEYS)[list(COLUMNS)]


class Group:
    """A folder outside the repository with the package, and an empty one where its commands run."""

    def __init__(self, folder: Path) -> None:
        self.site, self.work = folder / "site", folder / "work"
        self.site.mkdir()
        self.work.mkdir()
        write_package(self.site)
        write_market(self.work)
        path = os.pathsep.join([str(self.site), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.output = ""
        self.environment = {"PYTHONPATH": path, "COLUMNS": "80", "OMP_NUM_THREADS": "1"}

    def command(self, name: str, *arguments: str) -> str:
        """Run a command; returns its output, which fits a terminal of 80 columns."""
        done = subprocess.run(
            [sys.executable, "-m", f"ste.{name}", *arguments],
            cwd=self.work,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def table(self) -> pd.DataFrame:
        [path] = self.work.glob("data_output/*/training_data_*.csv")
        tables = [pd.read_csv(each, parse_dates=["date"]) for each in sorted(path.parent.glob("*_data_*.csv"))]
        return pd.concat(tables).set_index(KEYS)

    def predictions(self, name: str) -> pd.DataFrame:
        return pd.read_csv(self.work / name, parse_dates=["date"]).set_index(KEYS).sort_index()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Group:
    """The package's net, trained by walk-forward and exported."""
    group = Group(tmp_path_factory.mktemp("group"))
    group.output = group.command("train", *RUN, *NET, "validation=walk_forward", "validation.folds=2")
    group.command("export", "plugins=[user_group]", "run=latest", "register=false")
    return group


@pytest.fixture(scope="module")
def predicted(trained: Group) -> pd.DataFrame:
    files = ["bars=bars.csv", "extra.mine=mine.csv", "extra_lag.mine=1", "output=predicted.csv"]
    trained.command("predict", "plugins=[user_group]", "model=model.onnx", *files)
    return trained.predictions("predicted.csv")


@pytest.mark.slow
def test_it_is_trained_by_walk_forward(trained: Group):
    text = " ".join(trained.output.split())
    assert "GroupNet" in text
    assert "walk-forward, validation truth 0." in text
    for group, columns in (("range", "The column of range"), ("mood", "The 2 columns of mood")):
        assert group in text
        assert columns in text
    assert max(map(len, trained.output.splitlines())) <= 80
    (config,) = trained.work.glob("outputs/runs/train/*/config.yaml")
    stored = yaml.safe_load(config.read_text())
    components = stored["origins"]["user_group"]["components"]
    assert {"model GroupNet", "loss squares", "metric truth", "label next_close"} <= set(components)


@pytest.mark.slow
def test_the_table_has_the_columns_and_the_label_of_the_package(trained: Group):
    table, expected = trained.table(), expected_rows(trained.work)
    assert len(table) > 300
    for column in COLUMNS:
        np.testing.assert_allclose(table[column], expected.loc[table.index, column], rtol=1e-9, err_msg=column)
    bars = pd.read_csv(trained.work / "bars.csv", parse_dates=["date"]).sort_values(["ticker", "date"])
    bars["next"] = bars.groupby("ticker")["close"].shift(-1) / bars["close"] - 1
    change = bars.set_index(KEYS).loc[table.index, "next"]
    np.testing.assert_allclose(table["stock_weekly_return"], change, rtol=1e-9)
    trend = 1 + (change > 0.008).astype(int) - (change < -0.008).astype(int)
    np.testing.assert_array_equal(table["stock_trend_direction"], trend)


@pytest.mark.slow
def test_a_prediction_is_the_model_on_the_rows_of_the_table(
    trained: Group, predicted: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
):
    rows = expected_rows(trained.work)
    monkeypatch.syspath_prepend(trained.site)
    with forgotten_plugins():
        load_plugin("user_group")
        model = ServedModel(trained.work / "model.onnx")
    assert model.card.plugins == ["user_group"]
    own = rows.xs("AAPL", level="ticker").dropna()
    dates = [date for date in predicted.xs("AAPL", level="ticker").index if date in own.index]
    weeks = own.loc[dates].to_numpy()
    windows = np.stack([weeks[at - WINDOW : at] for at in range(WINDOW, len(weeks) + 1)])
    found = predicted.xs("AAPL", level="ticker").loc[dates[WINDOW - 1 :], PROBS]
    np.testing.assert_allclose(model.probabilities(windows), found, rtol=1e-4, atol=1e-6)
    assert len(found) > 80


@pytest.mark.slow
def test_the_service_answers_as_predict(trained: Group, predicted: pd.DataFrame):
    bars = pd.read_csv(trained.work / "bars.csv")
    own = pd.read_csv(trained.work / "mine.csv")
    last = predicted.index.get_level_values("date").max()
    bars, own = (each[(each["date"] > "2020-11-01") & (each["date"] <= f"{last:%Y-%m-%d}")] for each in (bars, own))
    known = (pd.to_datetime(own["date"]) + pd.Timedelta(days=1)).dt.strftime("%Y-%m-%d")
    request = {
        "bars": bars.to_dict("records"),
        "extra": {"mine": own.assign(known_at=known).to_dict("records")},
    }
    with serving(trained.work, "plugins=[user_group]", "model=model.onnx", **trained.environment) as service:
        status, _, body = service.ask("POST", "/v1/predict/bars", json.dumps(request).encode(), JSON)
    assert status == 200, body
    answers: list[dict[str, Any]] = json.loads(body)["predictions"]
    assert len(answers) == 4
    for one in answers:
        expected = predicted.loc[(pd.Timestamp(one["date"]), one["ticker"]), PROBS].to_numpy(dtype=float)
        np.testing.assert_allclose(list(one["probabilities"].values()), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_it_runs_live_as_it_predicts(trained: Group, predicted: pd.DataFrame):
    files = ["replay.bars=bars.csv", "replay.extra.mine=mine.csv", "replay.extra_lag.mine=1"]
    trained.command("live", "plugins=[user_group]", "model=model.onnx", "source=replay", *files, "sink=live.csv")
    live = trained.predictions("live.csv")
    pd.testing.assert_index_equal(live.index, predicted.index)
    np.testing.assert_allclose(live[PROBS], predicted[PROBS], rtol=1e-5, atol=1e-7)


@pytest.mark.slow
def test_the_estimator_of_the_package_is_trained_exported_and_predicts(trained: Group):
    output = trained.command("train", *RUN, "model=group_forest", "validation=walk_forward", "validation.folds=2")
    assert "RandomForestClassifier" in output
    assert "validation truth" in " ".join(output.split())
    trained.command("export", "plugins=[user_group]", "run=latest", "register=false", "output=forest.onnx")
    files = ["bars=bars.csv", "extra.mine=mine.csv", "extra_lag.mine=1", "output=forest.csv"]
    trained.command("predict", "plugins=[user_group]", "model=forest.onnx", *files)
    np.testing.assert_allclose(trained.predictions("forest.csv")[PROBS].sum(axis=1), 1, rtol=1e-5)


def test_the_package_trains_and_scores_from_another_folder(
    call: Call, folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
):
    site = tmp_path_factory.mktemp("site")
    write_package(site)
    write_market(folder)
    with forgotten_plugins():
        monkeypatch.syspath_prepend(site)
        code, out, err = call("train", *RUN, *NET, "trainer.max_epochs=1")
        assert code == 0, err
        assert "validation truth" in " ".join(out.split())
        [path] = folder.glob("data_output/*/training_data_*.csv")
        table = pd.read_csv(path, parse_dates=["date"]).set_index(KEYS)
        expected = expected_rows(folder)
        np.testing.assert_allclose(table[list(COLUMNS)], expected.loc[table.index], rtol=1e-9)
