"""The image of the service: what it installs is what the service imports, in the versions of the project."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from onnx_files import tiny_model

ROOT = Path(__file__).parents[1]
SCRIPT = """
import json, sys
import ste.serving.server as server
from ste import serve

def look(app, settings, listening):
    import orjson
    from ste.serving import openapi_examples as examples
    from ste.serving.bars_request import examples_of_bars
    card = app.state.deployed.current.model.card
    examples_of_bars(orjson.dumps(examples.predict_bars(card)["one ticker"]["value"]), card)
    files = [module.__file__ for name, module in sys.modules.items() if name.split(".")[0] == "ste"]
    print("LOADED", json.dumps([files, sorted({name.split(".")[0] for name in sys.modules})]))

server.serve = look
sys.argv = ["ste.serve", "model=model.onnx", "port=0"]
serve.main()
"""
BROUGHT = {"starlette": "fastapi", "pydantic": "fastapi", "typing_extensions": "fastapi"}
"""Packages that come with another one, as parts of it."""
SERVER = {"uvicorn"}
"""Imported by name at the start of the server."""


def name_of(requirement: str) -> str:
    return re.split(r"[\[<>=!~ ]", requirement)[0].lower().replace("_", "-")


def requirements() -> list[str]:
    lines = (ROOT / "docker" / "requirements.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def imported(path: Path) -> set[str]:
    """Top-level packages that a module names in an import."""
    out = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            out |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            out.add(node.module.split(".")[0])
    return out


def test_every_line_is_the_projects_own():
    with open(ROOT / "pyproject.toml", "rb") as file:
        known = tomllib.load(file)["project"]["dependencies"]
    assert set(requirements()) <= set(known)


def test_the_image_installs_what_the_service_imports_and_no_more(tmp_path: Path):
    """And the process of the service loads none of the libraries of training."""
    tiny_model(tmp_path / "model.onnx")
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    found = re.search(r"LOADED (.*)", done.stdout)
    assert found, done.stdout + done.stderr
    files, loaded = json.loads(found[1])
    assert not {"torch", "lightning", "mlflow", "sklearn", "matplotlib", "onnx"} & set(loaded)
    named = set().union(*(imported(Path(file)) for file in files if file)) & set(loaded)
    distributions = packages_distributions()
    used = set()
    for package in (named - set(sys.stdlib_module_names) - {"ste", "__future__"}) | SERVER:
        known = BROUGHT.get(package) or distributions[package][0] if package not in ("hydra",) else "hydra-core"
        used.add(name_of(known))
    assert used == {name_of(line) for line in requirements()}


def test_the_image_is_built_from_files_that_are_there():
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for name in " ".join(copied).split():
        assert (ROOT / name).exists(), name
        assert name in allowed
