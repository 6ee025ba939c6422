"""The comparison with Qlib as far as it goes without Qlib; nothing here is timed."""

import ast
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import benchmarks.peers
from benchmarks import part
from benchmarks.peers import features, qlib_process, ste_features
from benchmarks.peers.bars import check_same_work
from benchmarks.peers.features import OURS, THEIRS, ColumnDifference, column_difference, column_differences, describe
from benchmarks.peers.market import GIVEN, MarketFiles, write_market
from benchmarks.worker_process import JsonObject
from ste.config.feature_sets import load_feature_set

NAMES = load_feature_set("alpha158").names
FOLDER = Path(benchmarks.peers.__file__).parent


def imported(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in names}


def test_neither_environment_imports_the_other() -> None:
    workers = [FOLDER / "qlib_worker.py", FOLDER / "qlib_features.py"]
    assert all("qlib" in imported(path) for path in workers)
    assert not any("ste" in imported(path) for path in [*workers, FOLDER / "resources.py", FOLDER / "__init__.py"])
    assert not any("qlib" in imported(path) for path in FOLDER.glob("*.py") if path not in workers)


def test_both_environments_compute_with_the_same_libraries() -> None:
    ours = (FOLDER.parents[1] / "constraints.txt").read_text().splitlines()
    theirs = (FOLDER / "requirements.txt").read_text().splitlines()
    for library in ("torch", "numpy", "pandas", "pyarrow"):
        versions = [[line for line in lines if line.startswith(f"{library}==")] for lines in (ours, theirs)]
        assert len(versions[0]) == 1
        assert versions[0] == versions[1]


@pytest.mark.parametrize("name", ["peers", "peers.features"])
def test_a_missing_peers_environment_is_reported_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.setattr(qlib_process, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["part", name, "--quick"])
    with pytest.raises(SystemExit) as stop:
        part.main()
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert message.startswith(f"error: {tmp_path / '.venv-peers'}: ")
    assert "make bench-peers" in message
    assert message.count("\n") == 1


def test_qlib_reads_the_bars_that_ste_reads(tmp_path: Path) -> None:
    market = write_market(tmp_path, tickers=3, sessions=160)
    bars = pd.read_parquet(market.bars)
    days = (market.qlib / "calendars" / "day.txt").read_text().split()
    listed = [line.split("\t") for line in (market.qlib / "instruments" / "all.txt").read_text().splitlines()]
    assert market.rows == len(bars) == 3 * 160
    assert [line[0] for line in listed] == sorted(bars["ticker"].unique())
    assert len(days) == 160
    for ticker, own in bars.groupby("ticker"):
        folder = market.qlib / "features" / str(ticker).lower()
        for name in ("open", "high", "low", "close", "volume"):
            begin, *values = np.fromfile(folder / f"{name}.day.bin", dtype="<f4")
            assert begin == 0
            np.testing.assert_array_equal(values, own[name])  # STE's file holds Qlib's float32 values
        _, *vwap = np.fromfile(folder / "vwap.day.bin", dtype="<f4")
        np.testing.assert_allclose(vwap, (own["high"] + own["low"] + own["close"]) / 3, rtol=1e-7)
        assert {path.name for path in folder.iterdir()} > {f"{name}.day.bin" for name in GIVEN}
    assert days[99] == market.first
    assert market.first < market.validation < market.test < market.last < days[-1]


def test_different_work_is_reported() -> None:
    ours = {"windows": {"train": 95}, "batch": [800, 20, 21], "finite": True}
    theirs = {"windows": {"train": 100}, "batch": [800, 20, 22], "finite": True}
    check_same_work(ours, theirs)
    for wrong in ({"windows": {"train": 80}}, {"batch": [800, 20, 20]}, {"finite": False}):
        with pytest.raises(RuntimeError, match="did not do the same work"):
            check_same_work(ours | wrong, theirs)


def test_a_difference_is_relative_to_the_value_or_to_the_mean_size_of_small_ones() -> None:
    own = np.array([[2.0, 4.0], [0.0, 6.0]])  # mean size 3
    assert column_difference(own, own.astype("<f4")) == ColumnDifference(0.0, 0)
    assert column_difference(own, np.array([[2.0, 4.0], [0.0, 3.0]], "<f4")) == ColumnDifference(0.5, 0)
    assert column_difference(own, np.array([[2.0, 4.0], [0.75, 6.0]], "<f4")) == ColumnDifference(0.25, 0)
    small = column_difference(own, np.array([[np.nan, 4.0], [0.0, np.inf]], "<f4"))  # mean size of the other two: 2
    assert small == ColumnDifference(0.0, 2)
    assert column_difference(np.zeros(2), np.zeros(2, "<f4")).relative == 0.0


def answers(folder: Path, *, tickers: int = 2, sessions: int = 63) -> tuple[JsonObject, JsonObject]:
    """What both sides answer and write: a value is its column, ticker and session in one number."""
    shape = (len(NAMES), tickers, sessions)
    values = np.arange(float(np.prod(shape))).reshape(shape)
    values[:, :, 60:].astype("<f8").tofile(folder / OURS)  # the longest look-back has 61 sessions
    values.astype("<f4").tofile(folder / THEIRS)
    rows = [tickers * (sessions - 60), tickers * sessions]
    ours, theirs = ({"seconds": 2.0, "cpu": 1.0, "memory": 2**20, "shape": [n, len(NAMES)]} for n in rows)
    return ours, theirs | {"seconds": 8.0, "kernels": 1, "sessions": sessions}


def test_the_rows_of_both_are_compared_from_the_first_whole_look_back_on(tmp_path: Path) -> None:
    ours, theirs = answers(tmp_path)
    assert set(column_differences("alpha158", ours, theirs, tmp_path).values()) == {ColumnDifference(0.0, 0)}
    values = np.fromfile(tmp_path / THEIRS, "<f4")
    values[62] *= 2  # first column, first ticker, last session
    values.tofile(tmp_path / THEIRS)
    found = column_differences("alpha158", ours, theirs, tmp_path)
    assert {name for name, one in found.items() if one.relative} == {NAMES[0]}
    for wrong in ([6, 157], [5, 158]):
        with pytest.raises(RuntimeError, match="alpha158: STE made"):
            column_differences("alpha158", ours | {"shape": wrong}, theirs, tmp_path)


def test_columns_above_the_limit_are_listed_by_their_name_without_the_window() -> None:
    found = {"corr5": 3e-4, "corr10": 2e-5, "corr20": 1e-6, "kmid": 1e-7}
    differences = {name: ColumnDifference(value, 7 if name == "corr5" else 0) for name, value in found.items()}
    assert describe(differences) == "above 1e-05: corr (2 of 3) 3e-04; undefined in Qlib: corr 7"
    assert describe({"kmid": ColumnDifference(0.0, 0)}) == "above 1e-05: none"


def test_ste_writes_the_rows_that_it_timed(tmp_path: Path) -> None:
    market = write_market(tmp_path, tickers=2, sessions=120)
    answer = ste_features.features({"bars": str(market.bars), "set": "alpha158", "output": str(tmp_path / OURS)})
    assert answer["shape"] == [2 * 60, 158]
    values = np.fromfile(tmp_path / OURS, "<f8").reshape(158, 2, 60)
    bars = pd.read_parquet(market.bars)
    for number, (_, own) in enumerate(bars.groupby("ticker")):
        close = own["close"].reset_index(drop=True)
        np.testing.assert_allclose(values[NAMES.index("ma20"), number], (close.rolling(20).mean() / close)[60:])


def test_the_time_is_compared_with_the_processes_that_qlib_takes_by_itself_and_with_all_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = answers(tmp_path)
    asked: list[JsonObject] = []

    def qlib(name: str, folder: Path, market: MarketFiles, **options: object) -> JsonObject:
        asked.append(options)
        return theirs if "kernels" not in options else theirs | {"seconds": 4.0, "kernels": options["kernels"]}

    monkeypatch.setattr(features, "SETS", ("alpha158",))
    monkeypatch.setattr(features, "qlib_python", lambda: Path("python"))
    monkeypatch.setattr(features, "write_market", lambda folder, tickers, sessions: None)
    monkeypatch.setattr(features, "_ours", lambda name, folder, market: answers(folder)[0])
    monkeypatch.setattr(features, "_qlib", qlib)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0, 1})
    rows = list(features.measure(quick=True))
    assert [(row.unit, row.ratio, row.target) for row in rows] == [
        ("s", 0.25, 1 / 3),
        ("s", 0.5, None),
        ("CPU s", 1.0, None),
        ("MiB more resident", 1.0, None),
        ("of the value", 0.0, None),
    ]
    assert [options.get("kernels") for options in asked] == [None, 2]
    assert ours["shape"] == [6, 158]
