"""The fences between the parts, read from the imports themselves."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "ste"
ENTRY_POINTS = {
    *("train", "generate", "evaluate", "reproduce", "ui", "audit", "compare", "ensemble", "report"),
    *("export", "predict", "monitor", "serve", "live"),
}

# Who may import a package; everything else may not.
FENCES = {
    "hydra": {"config", "cli", *ENTRY_POINTS},
    "omegaconf": {"config", "cli", *ENTRY_POINTS},
    "mlflow": {"tracking"},
    "matplotlib": {"plots"},
    "optuna": {"sweeps"},
    "plotly": {"sweeps"},
    "onnx": {"deploy"},
    "onnxruntime": {"deploy"},
    "fastapi": {"serving"},
    "starlette": {"serving"},
    "uvicorn": {"serving"},
    "redis": {"streaming"},
    "ray": {"bench", "bulk"},
}
# What a part may import of ours; parts that are not named may import any but the entry points.
LAYERS = {
    "errors": set(),
    "loading": set(),
    "schema": set(),
    "models": {"models"},
    "settings": {"errors", "schema", "settings"},
    "preflight": {"errors", "schema", "settings"},
    "world": {"errors", "schema", "settings", "data", "world"},
    "data": {"errors", "schema", "settings", "data", "world"},
    "augmentation": {"errors", "schema", "settings", "data", "world", "augmentation"},
    "leaks": {"errors", "schema", "settings", "data", "world", "leaks"},
    "plots": {"plots"},
    "pages": {"schema", "evaluation", "plots", "pages"},
    "console": {"schema", "combining", "evaluation", "record", "replicas"},
    "record": {"errors", "schema", "data", "evaluation", "fitting", "plots", "replicas", "tracking", "training"},
    "baselines": {"errors", "schema", "data", "training", "baselines"},
    "fitting": {
        *("augmentation", "baselines", "data", "errors", "models", "replicas", "settings", "sweeps", "tracking"),
        *("training",),
    },
    "sweeps": {
        *("config", "data", "errors", "evaluation", "loading", "plots", "record", "settings", "sweeps", "tracking"),
        *("training",),
    },
    "predicting": {"baselines", "data", "evaluation", "fitting", "replicas", "schema"},
    "explaining": {"baselines", "data", "evaluation", "fitting", "predicting"},
    "helping": {"data", "errors", "fitting", "loading", "settings", "training"},
    "pipeline": {
        *("data", "errors", "evaluation", "fitting", "helping", "loading", "predicting", "record", "replicas"),
        *("schema", "settings", "tracking", "training"),
    },
    "members": {"errors", "evaluation", "pipeline", "record", "settings", "tracking"},
    "combining": {"data", "evaluation", "members", "pipeline", "record", "settings", "tracking"},
    "deploy": {
        *("baselines", "config", "data", "deploy", "errors", "evaluation", "fitting", "members"),
        *("monitoring", "pipeline"),
        *("predicting", "record", "replicas", "schema", "settings", "tracking"),
    },
    "monitoring": {"data", "deploy", "errors", "evaluation", "schema", "settings", "monitoring"},
    "serving": {"data", "deploy", "errors", "evaluation", "monitoring", "schema", "serving", "settings"},
    "streaming": {"data", "deploy", "errors", "schema", "streaming"},
    "bulk": {"bulk", "data", "deploy", "errors", "schema"},
    "config": {"errors", "preflight", "schema", "settings"},
    "cli": {"config", "errors", "loading"},
    "training": {"augmentation", "errors", "schema", "data", "models", "evaluation", "training"},
    "evaluation": {"errors", "schema", "data", "evaluation"},
    "replicas": {"errors", "data", "evaluation", "training", "replicas"},
    "tracking": {"errors", "loading", "schema", "settings", "evaluation", "replicas", "training", "tracking"},
}
MODULES = sorted(SOURCE.rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield str(node.module)


def part(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def test_there_are_modules_to_look_at():
    assert len(MODULES) > 60
    assert {part(path) for path in MODULES} >= set(LAYERS) | ENTRY_POINTS


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_module_imports_only_what_its_part_may(path: Path):
    for name in imports(path):
        package, *rest = name.split(".")
        if package in FENCES:
            assert part(path) in FENCES[package], f"{path} imports {name}"
        if package == "ste" and rest:
            assert rest[0] not in ENTRY_POINTS, f"{path} imports the entry point {name}"
            if part(path) in LAYERS:
                assert rest[0] in LAYERS[part(path)], f"{path} imports {name}"


@pytest.mark.parametrize("path", sorted((SOURCE / "models").glob("[a-z]*.py")), ids=lambda path: path.stem)
def test_a_net_imports_torch_and_nothing_else(path: Path):
    assert {name.split(".")[0] for name in imports(path)} == {"torch"}


def test_only_the_data_module_of_the_data_part_imports_lightning():
    users = {path.name for path in (SOURCE / "data").glob("*.py") if any("lightning" in n for n in imports(path))}
    assert users == {"datamodule.py"}
