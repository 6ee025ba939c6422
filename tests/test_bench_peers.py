"""The comparison with Qlib, as far as it goes without Qlib: what is measured, not how fast it is."""

import ast
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import benchmarks.peers
from benchmarks.peers import sides
from benchmarks.peers.__main__ import main
from benchmarks.peers.bars import _check
from benchmarks.peers.market import GIVEN, write_market
from benchmarks.peers.sides import Side, in_turns

FOLDER = Path(benchmarks.peers.__file__).parent

ECHO = """
import json, sys
print("found no such library")
print(json.dumps({"echo": "1"}), flush=True)
for line in sys.stdin:
    given = json.loads(line)
    if given["say"] == "fail":
        sys.exit("it broke")
    print(json.dumps({"said": given["say"]}), flush=True)
"""


def imported(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in names}


def test_neither_side_imports_the_other() -> None:
    assert "qlib" in imported(FOLDER / "qlib_side.py")
    assert "ste" not in imported(FOLDER / "qlib_side.py")
    assert not any("qlib" in imported(path) for path in FOLDER.glob("*.py") if path.name != "qlib_side.py")


def test_both_environments_compute_with_the_same_libraries() -> None:
    ours = (FOLDER.parents[3] / "constraints.txt").read_text().splitlines()
    theirs = (FOLDER / "requirements.txt").read_text().splitlines()
    for library in ("torch", "numpy", "pandas", "pyarrow"):
        versions = [[line for line in lines if line.startswith(f"{library}==")] for lines in (ours, theirs)]
        assert len(versions[0]) == 1
        assert versions[0] == versions[1]


def test_a_side_is_asked_and_answers(tmp_path: Path) -> None:
    with Side([sys.executable, "-c", ECHO], tmp_path / "log") as side:
        assert side.versions == {"echo": "1"}
        assert [side.ask(say=word)["said"] for word in ("a", "b")] == ["a", "b"]


def test_a_side_that_breaks_says_why(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError, match="ended with code 1:\nit broke"),
        Side([sys.executable, "-c", ECHO], tmp_path / "log") as side,
    ):
        side.ask(say="fail")


def test_who_begins_a_round_changes() -> None:
    order: list[str] = []
    said = in_turns([lambda name=name: order.append(name) or len(order) for name in "abc"], 2)
    assert order == ["a", "b", "c", "b", "c", "a"]
    assert said == [[1, 6], [2, 4], [3, 5]]


def test_without_the_peers_environment_one_line_says_what_to_type(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sides, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["peers", "--quick"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith(f"error: {tmp_path / '.venv-peers'}: ")
    assert "make bench-peers" in told
    assert told.count("\n") == 1


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


def test_sides_that_did_not_do_the_same_are_told() -> None:
    ours = {"windows": {"train": 95}, "batch": [800, 20, 21], "finite": True}
    theirs = {"windows": {"train": 100}, "batch": [800, 20, 22], "finite": True}
    _check(ours, theirs)
    for wrong in ({"windows": {"train": 80}}, {"batch": [800, 20, 20]}, {"finite": False}):
        with pytest.raises(RuntimeError, match="did not do the same"):
            _check(ours | wrong, theirs)
