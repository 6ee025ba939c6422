"""The benchmark's arithmetic and its table; nothing here is timed."""

import json
import stat
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import __main__ as bench
from benchmarks.figures import Figure, compared, interleaved
from benchmarks.part import ALONE, PARTS
from benchmarks.report import COLUMNS, Part, Report, cells, markdown


def test_sides_are_measured_in_turns_and_the_first_alternates():
    called = []

    def side(name: str):
        def measure() -> float:
            called.append(name)
            return float(len(called))

        return measure

    rounds = interleaved(side("ours"), side("yardstick"), 3)
    assert called == ["ours", "yardstick", "ours", "yardstick", "yardstick", "ours", "ours", "yardstick"]
    np.testing.assert_array_equal(rounds, [[3, 4], [6, 5], [7, 8]])  # the first two did not count


def test_a_ratio_is_the_median_of_the_rounds_own():
    figure = compared("training", "x", "samples/s", np.array([[1.0, 2.0], [9.0, 3.0], [4.0, 4.0]]), "loop", "more", 0.9)
    assert (figure.ours, figure.yardstick, figure.ratio) == (4.0, 3.0, 1.0)


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
def test_what_is_reached(better, ratio, target, reached):
    figure = Figure("p", "c", "m", ratio, 1.0, "y", ratio, better, target)
    assert figure.reached is reached
    assert cells(figure)[-1] == {True: "yes", False: "no", None: ""}[reached]


@pytest.mark.parametrize("name", [*PARTS, *ALONE])
def test_every_part_that_is_named_is_there(name):
    assert (Path(bench.__file__).parent / f"{name}.py").is_file() or (Path(bench.__file__).parent / name).is_dir()


FIGURES = [
    Figure("start", "help", "s", 0.4123, None, "", 0.4123, "less", 0.6),
    Figure("start", "whole", "s", 6.0, 3.0, "imports", 2.0, "less", 1.5, "a note"),
]


def report(*parts: Part) -> Report:
    known = {f"version.{name}": "1" for name in ("python", "torch", "lightning", "mlflow", "pandas", "numpy")}
    known |= {"machine.cores": "2", "machine.cpu": "a processor", "machine.memory": 24.0, "machine.system": "Linux"}
    known |= {"git.commit": "abcdef0123456", "git.dirty": "false", "load": 0.1}
    return Report(known, quick=False, parts=list(parts), date="2026-01-02T03:04:05+00:00")


def test_the_page_has_every_figure_its_note_and_what_was_not_measured():
    page = markdown(report(Part("start", FIGURES, 12.0, (0.1, 1.0)), Part("gpu", [], 1.0, (1.0, 1.0))))
    assert "| help | s | 0.412 |  | - | - | ≤ 0.600 | yes |" in page
    assert "| whole | s | 6.00 | imports | 3.00 | 2.00 | ≤ 1.50 | no |" in page
    assert "- a note" in page
    assert "Reached: 1 of 2" in page
    assert "nothing that this machine could measure" in page
    assert all(line.count("|") == len(COLUMNS) + 1 for line in page.splitlines() if line.startswith("|"))


def fake_python(tmp_path: Path, code: int) -> str:
    """Stands in for the interpreter that would run a part."""
    line = json.dumps(FIGURES[0].__dict__)
    script = tmp_path / "python"
    script.write_text(f"#!/bin/sh\necho 'chatter'\necho '{line}'\necho 'what went wrong' >&2\nexit {code}\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return str(script)


@pytest.mark.parametrize("code", [0, 1])
def test_figures_are_kept_and_a_part_that_breaks_is_told(tmp_path, monkeypatch, capsys, code):
    monkeypatch.setattr(sys, "executable", fake_python(tmp_path, code))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as left:
        bench.main(["start", "--markdown", "page.md"])
    assert left.value.code == code
    said = json.loads((tmp_path / "outputs" / "bench.json").read_text())
    assert said["parts"][0]["figures"][0]["reached"] is True
    assert "0.412" in (tmp_path / "page.md").read_text()
    assert ("what went wrong" in capsys.readouterr().out) is (code == 1)


def test_a_part_that_is_not_there_is_told(capsys):
    with pytest.raises(SystemExit) as left:
        bench.main(["speed"])
    assert left.value.code == 2
    assert "speed: no such part. Expected some of training," in capsys.readouterr().err
