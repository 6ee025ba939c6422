"""The comparison with Qlib as far as it goes without Qlib; nothing here is timed."""

import ast
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import benchmarks.peers
from benchmarks import part
from benchmarks.peers import qlib_process
from benchmarks.peers.bars import check_same_work
from benchmarks.peers.market import GIVEN, write_market

FOLDER = Path(benchmarks.peers.__file__).parent


def imported(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in names}


def test_neither_environment_imports_the_other() -> None:
    assert "qlib" in imported(FOLDER / "qlib_worker.py")
    assert "ste" not in imported(FOLDER / "qlib_worker.py")
    assert not any("qlib" in imported(path) for path in FOLDER.glob("*.py") if path.name != "qlib_worker.py")


def test_both_environments_compute_with_the_same_libraries() -> None:
    ours = (FOLDER.parents[1] / "constraints.txt").read_text().splitlines()
    theirs = (FOLDER / "requirements.txt").read_text().splitlines()
    for library in ("torch", "numpy", "pandas", "pyarrow"):
        versions = [[line for line in lines if line.startswith(f"{library}==")] for lines in (ours, theirs)]
        assert len(versions[0]) == 1
        assert versions[0] == versions[1]


def test_a_missing_peers_environment_is_reported_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(qlib_process, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["part", "peers", "--quick"])
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
            np.testing.assert_array_equal(values, own[name].to_numpy().astype("<f4"))
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
