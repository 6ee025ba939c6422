"""The benchmark's arithmetic, its parts and its table; nothing here is timed."""

import json
import stat
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from benchmarks import __main__ as bench
from benchmarks import start
from benchmarks.measurement import Measurement, compare, in_turns
from benchmarks.part import OPTIONAL_PARTS, PARTS
from benchmarks.report import COLUMNS, BenchmarkReport, PartResult, cells, markdown
from benchmarks.terminal import Recording


def test_functions_are_measured_in_turns_and_the_first_one_changes():
    called: list[str] = []
    functions = [lambda name=name: called.append(name) or len(called) for name in "abc"]
    results = in_turns(functions, rounds=2, warm_up=1)
    assert "".join(called) == "abc" + "bca" + "cab"
    assert results == [[6, 8], [4, 9], [5, 7]]  # the first round does not count


def test_a_ratio_is_the_median_of_the_rounds_ratios():
    row = compare("training", "x", "samples/s", [1.0, 9.0, 4.0], [2.0, 3.0, 4.0], "loop", "more", 0.9)
    assert (row.ours, row.reference, row.ratio) == (4.0, 3.0, 1.0)


@pytest.mark.parametrize(
    ("better", "ratio", "target", "reached"),
    [
        ("more", 1.0, 1.0, True),
        ("more", 0.9, 1.0, False),
        ("less", 1.0, 1.0, True),
        ("less", 1.1, 1.0, False),
        ("more", 5.0, None, None),
    ],
)
def test_a_target_is_reached_or_not(better, ratio, target, reached):
    row = Measurement("p", "c", "m", ratio, 1.0, "y", ratio, better, target)
    assert row.reached is reached
    assert cells(row)[-1] == {True: "yes", False: "no", None: ""}[reached]


@pytest.mark.parametrize("name", [*PARTS, *OPTIONAL_PARTS])
def test_every_named_part_exists(name):
    assert find_spec(f"benchmarks.{name}") is not None


ROWS = [
    Measurement("start", "help", "s", 0.4123, None, "", 0.4123, "less", 0.6),
    Measurement("start", "run", "s", 6.0, 3.0, "imports", 2.0, "less", 1.5, "a note"),
]


def report(*parts: PartResult) -> BenchmarkReport:
    known = {f"version.{name}": "1" for name in ("python", "torch", "lightning", "mlflow", "pandas", "numpy")}
    known |= {"machine.cores": "2", "machine.cpu": "a processor", "machine.memory": 24.0, "machine.system": "Linux"}
    known |= {"git.commit": "abcdef0123456", "git.dirty": "false", "load": 0.1}
    return BenchmarkReport(known, quick=False, parts=list(parts), date="2026-01-02T03:04:05+00:00")


def test_the_page_has_every_measurement_its_note_and_the_parts_without_any():
    page = markdown(report(PartResult("start", ROWS, 12.0, (0.1, 1.0)), PartResult("scale", [], 1.0, (1.0, 1.0))))
    assert "| help | s | 0.412 |  | - | - | ≤ 0.600 | yes |" in page
    assert "| run | s | 6.00 | imports | 3.00 | 2.00 | ≤ 1.50 | no |" in page
    assert "- a note" in page
    assert "Targets reached: 1 of 2" in page
    assert "nothing that this machine can measure" in page
    assert all(line.count("|") == len(COLUMNS) + 1 for line in page.splitlines() if line.startswith("|"))


def fake_python(tmp_path: Path, code: int, reason: str = "the reason") -> str:
    """Stands in for the interpreter that runs a part."""
    line = json.dumps(ROWS[0].__dict__)
    script = tmp_path / "python"
    script.write_text(f"#!/bin/sh\necho 'chatter'\necho '{line}'\nprintf '{reason}' >&2\nexit {code}\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return str(script)


@pytest.mark.parametrize("code", [0, 1])
def test_measurements_are_printed_and_saved_and_a_failed_part_is_reported(tmp_path, monkeypatch, capsys, code):
    monkeypatch.setattr(sys, "executable", fake_python(tmp_path, code))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        bench.main(["start", "--markdown", "page.md"])
    assert stop.value.code == code
    saved = json.loads((tmp_path / "outputs" / "bench.json").read_text())
    assert saved["parts"][0]["measurements"][0]["reached"] is True
    assert "0.412" in (tmp_path / "page.md").read_text()
    printed = capsys.readouterr().out
    assert printed.index("start: help: 0.412 s") < printed.index("reached 1 of 1")
    assert ("the reason" in printed) is (code == 1)


def test_a_part_that_ends_without_a_word_failed_too(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "executable", fake_python(tmp_path, 9, reason=""))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        bench.main(["start"])
    assert stop.value.code == 1
    assert "ended with code 9" in capsys.readouterr().out


def test_an_unknown_part_is_reported(capsys):
    with pytest.raises(SystemExit) as stop:
        bench.main(["speed"])
    assert stop.value.code == 2
    assert "speed: no such part. Expected some of start, training," in capsys.readouterr().err


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Commands that the start-up benchmark runs; a training takes 3 s, an import 2, an answer 1/2."""
    asked: list[tuple[str, ...]] = []

    def seconds(folder: Path, *arguments: str) -> float:
        assert folder.is_dir()
        asked.append(arguments)
        return 3.0 if "experiment" in arguments[-1] else 2.0 if arguments[0] == "-c" else 0.5

    def recorded(folder: Path, *arguments: str, only_first: bool = False) -> Recording:
        first = 0.9 if arguments[-1] == "ste.serve" else 0.5
        return Recording(0, "", (first,) if only_first else (0.5, 2.0, 2.5))

    monkeypatch.setattr(start, "command_seconds", seconds)
    monkeypatch.setattr(start, "record", recorded)
    return asked


def test_every_command_is_compared_with_the_imports_of_its_own_rounds(commands: list[tuple[str, ...]]):
    rows = {row.case: row for row in start.measure(quick=False)}
    assert [row.target for row in rows.values()] == [2.5, 2.5, 2.5, 2.0, 1.5, 1.5, None, None]
    assert rows["train.replicas=16"].reference == 16 * 3.0
    for name in start.EXPERIMENTS:
        row = rows[f"experiment={name}, the whole command"]
        assert (row.ours, row.reference, row.ratio, row.reached) == (3.0, 2.0, 1.5, True)
        assert commands.count(("-m", "ste.train", f"experiment={name}")) >= 3
    assert rows["--help"].ratio == 0.25
    assert rows["first output of ste.serve, the slowest of 19 commands"].ratio == 0.45
    assert rows["longest silence of a first run"].ours == 1.5
    assert ("-c", "import hydra, omegaconf") in commands
    assert ("-c", "import torch, lightning, mlflow") in commands


def test_the_quick_start_up_benchmark_runs_one_experiment(commands: list[tuple[str, ...]]):
    cases = [row.case for row in start.measure(quick=True)]
    whole = "experiment=seed_lstm, the whole command"
    first = "first output of ste.serve, the slowest of 19 commands"
    assert cases == ["--help", "--cfg job", first, "longest silence of a first run", whole]
    assert sum("torch" in command[-1] for command in commands) == 2


def test_a_failed_command_is_no_measurement(tmp_path: Path):
    with pytest.raises(SystemExit, match="not this way"):
        start.command_seconds(tmp_path, "-c", "raise SystemExit('not this way')")


def test_no_reference_row_is_a_ratio():
    assert cells(ROWS[0])[5] == "-"
    assert np.isclose(float(cells(ROWS[1])[5]), 2.0)
