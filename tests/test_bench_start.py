import sys
from pathlib import Path

import pytest

from benchmarks import start


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What the benchmark runs, instead of running it; a training takes 3 s, an import 2, an answer 1/2."""
    asked: list[tuple[str, ...]] = []

    def seconds(command: list[str], folder: Path, environment: dict[str, str]) -> float:
        assert folder.is_dir()
        assert Path(environment["XDG_CACHE_HOME"]).parent == folder.parent
        asked.append((folder.name, *command[1:]))
        return 3.0 if "experiment" in command[-1] else 2.0 if command[1] == "-c" else 0.5

    monkeypatch.setattr(start, "_seconds", seconds)
    return asked


def test_every_command_is_held_against_the_imports_of_its_own_rounds(commands: list[tuple[str, ...]]):
    figures = {figure.case: figure for figure in start.figures(quick=False)}
    assert [figure.target for figure in figures.values()] == [0.6, 0.6, 1.5, 1.5, None, None]
    for name in start.EXPERIMENTS:
        figure = figures[f"experiment={name}, the whole command"]
        assert (figure.ours, figure.yardstick, figure.ratio, figure.reached) == (3.0, 2.0, 1.5, True)
        assert commands.count(("first", "-m", "ste.train", f"experiment={name}")) >= 3
    assert figures["--help"].ratio == 0.5
    assert ("second", "-m", "ste.train", "experiment=seed_lstm") in commands
    assert commands[0][1] == "-c"  # what else is there to find, the yardstick has found


def test_the_quick_one_has_the_figures_with_a_target_of_one_experiment(commands: list[tuple[str, ...]]):
    assert [figure.case for figure in start.figures(quick=True)] == [
        "--help",
        "--cfg job",
        "experiment=seed_lstm, the whole command",
    ]
    assert sum("-c" in command for command in commands) == 2


def test_sides_take_turns():
    order: list[int] = []

    def side(number: int) -> float:
        order.append(number)
        return float(number)

    rounds = start._in_turns([lambda: side(0), lambda: side(1), lambda: side(2)], 2)
    assert order == [0, 1, 2, 1, 2, 0]
    assert rounds.tolist() == [[0.0, 1.0, 2.0]] * 2


def test_a_command_that_fails_is_no_figure(tmp_path: Path):
    with pytest.raises(SystemExit, match="not this way"):
        start._seconds([sys.executable, "-c", "raise SystemExit('not this way')"], tmp_path, {})
