"""What a command prints while it works: the steps, their order, and nothing from other processes."""

import multiprocessing
import re
from pathlib import Path

import pytest

from benchmarks.terminal import COLUMNS, record
from ste.config import progress
from ste.config.progress import add_note, paused, step

CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@pytest.fixture(autouse=True)
def own_state(monkeypatch):
    monkeypatch.setattr(progress, "_steps", [])
    monkeypatch.setattr(progress, "_listener", None)
    monkeypatch.setattr(progress, "_lines", True)


def test_steps_are_lines_where_there_is_no_terminal(capsys):
    with step("outer"), step("inner", 3) as inner:
        inner.update(2)
        add_note("a note")
    with step("only animated", quiet=True):
        pass
    assert capsys.readouterr().err.splitlines() == ["outer", "inner"]


def test_a_step_ends_with_its_block_also_after_an_error(capsys):
    with pytest.raises(ValueError, match="broken"), step("one"), step("two"):
        raise ValueError("broken")
    assert progress._steps == []
    with paused():
        print("between")
    assert capsys.readouterr().out == "between\n"


def test_a_listener_gets_the_steps_instead(capsys, monkeypatch):
    monkeypatch.setattr(progress, "_REFRESH", 1e9)
    sent: list[str] = []
    progress.send_steps(sent.append)
    with step("training", 5) as shown:
        shown.update(2, "loss 1.0")
    assert sent == ["training", "training 2 of 5"]
    assert capsys.readouterr().err == ""


def _work(_: int) -> None:
    with step("of a worker"):
        pass


def test_a_worker_process_prints_nothing(capfd):
    with multiprocessing.get_context("fork").Pool(1) as pool:
        pool.map(_work, [0])
    _work(0)
    assert capfd.readouterr().err == "of a worker\n"


@pytest.mark.slow
def test_a_first_run_shows_each_step_in_order_and_fits_the_terminal(tmp_path: Path):
    typed = ("-m", "ste.train", "model=dual_tower", "trainer.max_epochs=3", "trainer.threads=1")
    done = record(tmp_path, *typed)
    output = done.output
    assert done.code == 0, output
    steps = [
        *("reading the settings", "loading torch, Lightning and MLflow", "building the tables"),
        *("training", "fitting the baselines and predicting", "scoring the predictions", "saving the run"),
        *("95 % interval", "On synthetic data, DualTower", "Next:"),
    ]
    places = [output.find(text) for text in steps]
    assert -1 not in places, dict(zip(steps, places, strict=True))
    assert places == sorted(places)
    lines = CONTROL.sub("", output).replace("\r", "\n").splitlines()
    assert [line for line in lines if len(line) > COLUMNS] == []
    assert list((tmp_path / "outputs" / "runs" / "train").iterdir())


@pytest.mark.slow
def test_a_sweep_shows_the_trials_that_run(tmp_path: Path):
    sweep = ("-m", "model=dual_tower", "optimizer.lr=0.001,0.01", "hydra/launcher=fork", "trainer.threads=1")
    done = record(tmp_path, "-m", "ste.train", *sweep)
    output = done.output
    assert done.code == 0, output
    assert re.search(r"running trials .*0/2.* trial [01]: training \d+ of 50", CONTROL.sub("", output))
    assert output.index("1 of 2  trial") < output.index("2 of 2  trial") < output.index("Next:")
