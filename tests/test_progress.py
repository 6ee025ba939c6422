"""What a command prints while it works: the steps, their order, and nothing from other processes."""

import fcntl
import multiprocessing
import os
import pty
import re
import struct
import sys
import termios
from pathlib import Path

import pytest

from ste.config import progress
from ste.config.progress import add_note, paused, step

CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@pytest.fixture(autouse=True)
def own_state(monkeypatch):
    monkeypatch.setattr(progress, "_steps", [])
    monkeypatch.setattr(progress, "_listener", None)
    monkeypatch.setattr(progress, "_lines", True)


def in_terminal(command: list[str], folder: Path) -> tuple[int, str]:
    """Run a command in a pseudo-terminal of 80 columns; return its exit code and output."""
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(folder)
        os.execvpe(command[0], command, {**os.environ, "TERM": "xterm-256color", "OMP_NUM_THREADS": "1"})
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    output = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # the process has closed the terminal
            break
        if not part:
            break
        output += part
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), output.decode()


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
    command = [sys.executable, "-m", "ste.train", "model=dual_tower", "trainer.max_epochs=3", "trainer.threads=1"]
    code, output = in_terminal(command, tmp_path)
    assert code == 0, output
    steps = [
        *("reading the settings", "loading torch, Lightning and MLflow", "building the tables"),
        *("training", "fitting the baselines and predicting", "scoring the predictions", "saving the run"),
        *("95 % interval", "On synthetic data, DualTower", "Next:"),
    ]
    places = [output.find(text) for text in steps]
    assert -1 not in places, dict(zip(steps, places, strict=True))
    assert places == sorted(places)
    lines = CONTROL.sub("", output).replace("\r", "\n").splitlines()
    assert [line for line in lines if len(line) > 80] == []
    assert list((tmp_path / "outputs" / "runs" / "train").iterdir())


@pytest.mark.slow
def test_a_sweep_shows_the_trials_that_run(tmp_path: Path):
    command = [sys.executable, "-m", "ste.train", "-m", "model=dual_tower", "optimizer.lr=0.001,0.01"]
    code, output = in_terminal([*command, "hydra/launcher=fork", "trainer.threads=1"], tmp_path)
    assert code == 0, output
    assert re.search(r"running trials .*0/2.* trial [01]: training \d+ of 50", CONTROL.sub("", output))
    assert output.index("1 of 2  trial") < output.index("2 of 2  trial") < output.index("Next:")
