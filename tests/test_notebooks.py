"""The notebooks of the documentation run in an empty folder, and the site shows them."""

import json
from pathlib import Path

import pytest

from docs.notebook_pages import notebook_page
from docs.run_notebooks import NOTEBOOKS, execute


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_writes_nothing_to_its_folder(path: Path):
    notebook = execute(path)
    outputs = [one for cell in notebook.cells if cell.cell_type == "code" for one in cell.outputs]
    assert len(outputs) >= 4


def test_stored_notebooks_hold_outputs_without_paths_or_progress():
    assert len(NOTEBOOKS) == 3
    for path in NOTEBOOKS:
        text = path.read_text()
        assert len(text) < 60_000, path.name
        for word in ("/tmp", "/home", "/root", "site-packages", "stderr", "Traceback"):
            assert word not in text, f"{path.name}: {word}"
        cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
        assert sum(bool(cell["outputs"]) for cell in cells) >= 3, f"{path.name}: run python -m docs.run_notebooks"


def test_a_page_holds_texts_code_and_outputs():
    code = {"cell_type": "code", "source": ["x = 1\n", "x"]}
    outputs = [
        {"output_type": "execute_result", "data": {"text/plain": ["1"]}},
        {
            "output_type": "execute_result",
            "data": {"text/plain": ["t"], "text/html": ["<style>\na {}\n</style>\n<b>t</b>"]},
        },
        {"output_type": "stream", "name": "stdout", "text": ["printed\n"]},
    ]
    cells = [{"cell_type": "markdown", "source": ["# Title"]}, {**code, "outputs": outputs}]
    page = notebook_page({"cells": cells})
    parts = ["# Title", "```python\nx = 1\nx\n```", "```text\n1\n```", "<b>t</b></div>", "```text\nprinted\n```"]
    places = [page.index(part) for part in parts]
    assert places == sorted(places)
    assert "style" not in page


@pytest.mark.slow
@pytest.mark.parametrize("name", ["README.md", "docs/library.md"])
def test_the_first_example_runs(folder: Path, capsys: pytest.CaptureFixture[str], name: str):
    text = (Path(__file__).parents[1] / name).read_text()
    example = text.split("```python\n")[1].split("```")[0]
    exec(compile(example, name, "exec"), {})
    assert "SimpleLSTM is" in capsys.readouterr().out
    assert list(folder.iterdir()) == []
