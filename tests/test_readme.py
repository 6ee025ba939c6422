"""The commands of the README and of the tutorial run in an empty folder, in their order."""

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "docs/tutorial.md")
QUICK = {
    "train": ["trainer.max_epochs=1", "scoring.resamples=100", "trainer.enable_progress_bar=false"],
    "report": ["importance=false"],
    "audit": ["shuffles=0"],
}
SMALLER = {"experiment=known_limit": "data.tickers=4", "train.replicas=16": "train.replicas=2"}
NEEDS = (
    "bars.csv",
    "RUN_ID",
    "ste.ui",
    "ste.serve",
    "ste.fetch",
    "ste.predict`",
)  # files of the user's; commands that do not end


def commands(page: str) -> list[str]:
    text = (ROOT / page).read_text()
    found = re.findall(r"python -m ste\.\w+[^`\n]*`?", text)
    return [line.rstrip("`") for line in found if not any(need in line for need in NEEDS)]


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_the_page_runs(call, page: str):
    assert len(commands(page)) >= 8
    for line in commands(page):
        name, *arguments = shlex.split(line.removeprefix("python -m ste."))
        more = [change for part, change in SMALLER.items() if part in arguments]
        code, out, errors = call(name, *arguments, *QUICK.get(name, []), *more)
        assert code == 0, f"{line}: {errors or out}"


@pytest.mark.slow
def test_the_example_of_the_python_api_runs(folder: Path, capsys: pytest.CaptureFixture[str]):
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "api.md").read_text(), re.DOTALL)
    exec(compile(example, "docs/api.md", "exec"), {})
    assert "On synthetic data, DualTowerModel" in capsys.readouterr().out
    assert (folder / "outputs" / "mine" / "summary.json").is_file()
