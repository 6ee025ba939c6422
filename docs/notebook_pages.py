"""Show the notebooks of `docs/notebooks` as pages of the site, with their stored outputs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

_DOWNLOAD = "\n\n[Download this notebook]({name}.ipynb)\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each notebook."""
    for path in sorted((Path(config.docs_dir) / "notebooks").glob("*.ipynb")):
        page = notebook_page(json.loads(path.read_text(encoding="utf-8"))) + _DOWNLOAD.format(name=path.stem)
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=page))
    return files


def notebook_page(notebook: dict[str, Any]) -> str:
    """Return a notebook as Markdown: its texts, its code, and the HTML or text of the outputs."""
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        parts += [_output(one) for one in cell.get("outputs", [])]
    return "\n\n".join(part for part in parts if part)


def _output(output: dict[str, Any]) -> str:
    data = output.get("data", {})
    if "text/html" in data:
        return f'<div class="output">{"".join(_lines("".join(data["text/html"])))}</div>'
    text = "".join(data.get("text/markdown", "")) if "text/markdown" in data else ""
    plain = "".join(output.get("text", data.get("text/plain", "")))
    return text or (f"```text\n{plain.rstrip()}\n```" if plain.strip() else "")


def _lines(html: str) -> Iterator[str]:
    """Yield the lines of HTML without the ends that would be Markdown."""
    inside = False
    for line in html.splitlines():
        inside = (inside or "<style" in line) and "</style>" not in line
        if not inside and "</style>" not in line:
            yield line.strip()
