"""The commands of the README run in an empty folder, in its order."""

import re
import shlex
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text()
QUICK = {
    "train": ["trainer.max_epochs=1", "scoring.resamples=100", "trainer.enable_progress_bar=false"],
    "report": ["importance=false"],
    "audit": ["shuffles=0"],
}
SMALLER = {"experiment=known_limit": ["data.tickers=4"]}
NEEDS = ("bars.csv", "RUN_ID", "ste.ui")  # a file of the user's, a run's id, a server that does not end
COMMANDS = [found for found in re.findall(r"(python -m ste\.\w+[^`\n]*)", README) if not any(n in found for n in NEEDS)]


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 150


@pytest.mark.slow
def test_every_command_of_the_readme_runs(call, capsys: pytest.CaptureFixture[str]):
    assert len(COMMANDS) > 10
    for line in COMMANDS:
        name, *arguments = shlex.split(line.removeprefix("python -m ste."))
        if name == "predict":  # named without its files
            continue
        more = [change for part, changes in SMALLER.items() if part in arguments for change in changes]
        code, out, errors = call(name, *arguments, *QUICK.get(name, []), *more)
        assert code == 0, f"{line}: {errors or out}"
