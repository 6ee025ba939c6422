"""Execute the notebooks of the documentation and store their outputs: `python -m docs.run_notebooks`."""

import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parent / "notebooks").glob("*.ipynb"))
_TIMEOUT = 600  # seconds of a cell


def execute(path: Path) -> Any:
    """Execute a notebook in an empty folder.

    Args:
        path: of the notebook.

    Returns:
        The notebook with the outputs of its cells; progress on standard error, times and counts are left out.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell fails.
    """
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(notebook, timeout=_TIMEOUT, resources={"metadata": {"path": folder}}).execute()
        left = [one.name for one in Path(folder).iterdir()]
    assert not left, f"{path.name} wrote {', '.join(left)} to the current folder"
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [one for one in cell.outputs if one.get("name") != "stderr"]
            for number, one in enumerate([cell, *cell.outputs]):
                if number == 0 or one.output_type == "execute_result":
                    one.execution_count = None
    notebook.metadata = {key: notebook.metadata[key] for key in ("kernelspec",)}
    return notebook


def main() -> None:
    """Execute all of them in place."""
    for path in NOTEBOOKS:
        print(path.name, flush=True)
        nbformat.write(execute(path), path)


if __name__ == "__main__":
    main()
