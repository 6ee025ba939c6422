"""Predictions as a table: written and read, joined and sorted, readable without this package."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ste.errors import DataError
from ste.evaluation.predictions import Predictions, row_columns
from ste.experiment.run import train
from ste.market.calendar import WEEKS
from ste.schema import TRADING_COLUMNS, probability_names

CLASSES = ("Downtrend", "Neutral", "Uptrend")
KEY = ["split", "date", "ticker", "fold", "path"]


def predictions(
    n: int = 20,
    seed: int = 0,
    split: str = "test",
    fold: int = 0,
    classes: tuple[str, ...] = CLASSES,
    truth: bool = True,
) -> Predictions:
    rng = np.random.default_rng(seed)
    dates = pd.Timestamp("2024-01-05") + pd.to_timedelta(7 * rng.permutation(n), unit="D")
    rows = pd.DataFrame({"date": dates, "ticker": rng.choice(list("ABC"), n)})
    frame = row_columns(rows, split, rng.integers(0, len(classes), n), rng.normal(size=n), fold)
    for name in ("", "majority.", "persistence.", *(["bayes."] if truth else [])):
        probabilities = rng.dirichlet(np.ones(len(classes)), n)
        for i, column in enumerate(probability_names(classes)):
            frame[name + column] = probabilities[:, i]
    return Predictions.from_frames([frame], classes, "weekly", 1, "SimpleLSTM")


@pytest.mark.parametrize("classes", [CLASSES, ("Downtrend", "Uptrend")])
@pytest.mark.parametrize("frequency", ["weekly", "daily"])
def test_what_is_written_is_read(tmp_path: Path, classes: tuple[str, ...], frequency: str):
    one = predictions(classes=classes)
    one = Predictions(one.frame, classes, frequency, 3, "A net")
    one.write(tmp_path / "p.parquet")
    again = Predictions.read(tmp_path / "p.parquet")
    pd.testing.assert_frame_equal(again.frame, one.frame, check_exact=True)
    assert (again.classes, again.frequency, again.horizon, again.model) == (classes, frequency, 3, "A net")
    np.testing.assert_array_equal(again.probs, one.probs)
    assert again.baselines == ("majority", "persistence")
    np.testing.assert_array_equal(again.truth, one.truth)
    assert [path.name for path in tmp_path.iterdir()] == ["p.parquet"]  # no partial file


def test_the_same_predictions_are_the_same_bytes(tmp_path: Path):
    for name in ("a", "b"):
        predictions().write(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("content", [b"", b"date,ticker\n", None])
def test_a_file_that_is_none_of_ours_is_refused(tmp_path: Path, content: bytes | None):
    path = tmp_path / "p.parquet"
    if content is None:
        pd.DataFrame({"date": [1]}).to_parquet(path)
    else:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"p\.parquet: holds no predictions\. Expected a predictions\.parquet of a run"):
        Predictions.read(path)
    with pytest.raises(DataError, match=r"nowhere\.parquet: holds no predictions"):
        Predictions.read(tmp_path / "nowhere.parquet")


@settings(max_examples=40)
@given(
    parts=st.lists(
        st.tuples(st.integers(1, 12), st.integers(0, 99), st.sampled_from(["train", "validation", "test"])),
        min_size=1,
        max_size=5,
    )
)
def test_joined_predictions_are_all_rows_in_order(parts: list[tuple[int, int, str]]):
    frames = [predictions(n, seed, split, fold).frame for fold, (n, seed, split) in enumerate(parts)]
    whole = Predictions.from_frames(frames, CLASSES, "weekly", 1, "net")
    assert len(whole) == sum(n for n, _, _ in parts)
    order = whole.frame["split"].map({"train": 0, "validation": 1, "test": 2})
    keys = list(zip(order, *(whole.frame[name] for name in KEY[1:]), strict=True))
    assert keys == sorted(keys)
    again = Predictions.from_frames(frames[::-1], CLASSES, "weekly", 1, "net")
    pd.testing.assert_frame_equal(
        again.frame.sort_values([*KEY, "return"], ignore_index=True),
        whole.frame.sort_values([*KEY, "return"], ignore_index=True),
        check_exact=True,
    )
    for fold, frame in enumerate(frames):
        own = whole.frame[whole.frame["fold"] == fold]
        assert sorted(own["p_uptrend"]) == sorted(frame["p_uptrend"])


def test_what_one_part_does_not_know_is_left_out_of_the_whole():
    known, unknown = predictions(8, 1).frame, predictions(8, 2, fold=1, truth=False).frame
    for frames in ([known, unknown], [unknown, known]):
        whole = Predictions.from_frames(frames, CLASSES, "weekly", 1, "net")
        assert whole.truth is None
        assert not whole.frame.isna().any(axis=None)
        assert whole.baselines == ("majority", "persistence")
        assert len(whole) == 16


def test_a_truth_with_holes_is_no_truth():
    one = predictions()
    assert one.truth is not None
    frame = one.frame.copy()
    frame.loc[3, "bayes.p_neutral"] = np.nan
    assert Predictions(frame, CLASSES).truth is None


def test_splits_are_selected_and_renumbered():
    frames = [predictions(5, i, split).frame for i, split in enumerate(("test", "validation", "train"))]
    whole = Predictions.from_frames(frames, CLASSES, "daily", 2, "net")
    assert whole.splits == ("train", "validation", "test")
    some = whole.slice_split("validation", "test")
    assert some.splits == ("validation", "test")
    assert some.frame.index.tolist() == list(range(10))
    assert (some.frequency, some.horizon, some.model) == ("daily", 2, "net")


def test_periods_are_the_calendars():
    one = predictions()
    assert one.periods.tolist() == WEEKS.index(one.frame["date"]).tolist()


def test_a_runs_file_loads_with_pandas_alone_and_explains_itself(small, folder: Path):
    overrides = ("model=logistic", "tracking=off", "data.tickers=2")
    settings_, values = small(*overrides)
    result = train(settings_, values, folder / "run", "run")
    assert result is not None
    script = (
        "import sys, pandas as pd\n"
        "frame = pd.read_parquet('run/predictions.parquet')\n"
        "assert not [name for name in sys.modules if name.split('.')[0] in ('ste', 'torch', 'mlflow')]\n"
        "print(list(frame.columns))\n"
        "top = frame[['p_downtrend', 'p_neutral', 'p_uptrend']].to_numpy().argmax(1)\n"
        "right = pd.Series(top == frame.label.to_numpy()).groupby(frame.split).mean()\n"
        "print(right.to_dict())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    columns, accuracies = (ast.literal_eval(line) for line in done.stdout.splitlines())
    probabilities = ["p_downtrend", "p_neutral", "p_uptrend"]
    baselines = [
        f"{name}.{p}" for name in ("majority", "persistence", "volatility", "linear", "bayes") for p in probabilities
    ]
    assert columns == [
        "date",
        "ticker",
        "split",
        "fold",
        "path",
        "label",
        "return",
        *TRADING_COLUMNS,
        *probabilities,
        *baselines,
    ]
    for split in ("validation", "test"):
        assert accuracies[split] == result.scores[split].metrics["accuracy"]
    assert set(accuracies) == {"validation", "test"}
    meta = json.loads(pq.read_table(folder / "run/predictions.parquet").schema.metadata[b"ste"])
    assert meta == {
        "calendar": "XNYS",
        "classes": list(CLASSES),
        "frequency": "weekly",
        "horizon": 1,
        "model": "Logistic",
    }
    # Rows are the table's: one per ticker and week, with its own return.
    frame = pd.read_parquet(folder / "run/predictions.parquet")
    assert not frame.duplicated(["date", "ticker"]).any()
    np.testing.assert_allclose(frame[probabilities].sum(axis=1), 1.0)
    assert ((frame["return"] > 0.01) == (frame["label"] == 2)).all()
    assert ((frame["return"] < -0.01) == (frame["label"] == 0)).all()
