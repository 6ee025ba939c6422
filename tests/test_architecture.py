"""Layers, extension points and names of the code base, checked on its syntax trees."""

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "ste"
PLUGINS = ROOT / "src" / "hydra_plugins"
COMMANDS = {
    *("train", "generate", "inspect", "evaluate", "compare", "ensemble", "report", "audit", "reproduce", "ui"),
    *("export", "predict", "serve", "live", "monitor", "fetch", "judge", "new", "check"),
}
SHARED = {"errors", "plugins", "registry", "schema"}
# A package imports from the rows above its own, and within a row from those to its left. Commands import any of them.
LAYERS = (
    ("errors", "plugins", "registry", "schema"),
    ("expressions", "market", "config", "models"),
    ("features", "labels", "synthetic", "data"),
    ("baselines", "evaluation", "leakage", "fetching"),
    ("training", "seed_ensembles"),
    ("tracking", "reporting"),
    ("experiment", "ensembles", "inference", "judging"),
    ("monitoring", "serving", "streaming", "tuning", "conformance"),
    ("library",),
)
RANK = {name: (row, column) for row, names in enumerate(LAYERS) for column, name in enumerate(names)}
# Libraries that one part of the code base uses on behalf of all others.
FENCES = {
    "hydra": {"config", *COMMANDS},
    "omegaconf": {"config", *COMMANDS},
    "mlflow": {"tracking"},
    "matplotlib": {"reporting"},
    "optuna": {"tuning"},
    "plotly": {"tuning"},
    "onnx": {"inference"},
    "onnxruntime": {"inference"},
    "skl2onnx": {"inference"},
    "fastapi": {"serving"},
    "starlette": {"serving"},
    "uvicorn": {"serving"},
    "redis": {"streaming"},
    "ray": {"inference", "data", "training"},
    "yfinance": {"fetching"},
    "fredapi": {"fetching"},
}
MODULES = sorted(SOURCE.rglob("*.py"))
OWN_CODE = [*MODULES, *sorted(PLUGINS.rglob("*.py"))]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def part_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imports(path: Path) -> Iterator[str]:
    """Dotted names of the imported modules and, after `from`, of what is imported from them."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def third_party_names(path: Path) -> set[str]:
    """Names that a module binds by importing from another project's package."""
    names = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            names |= {a.asname or a.name.split(".")[0] for a in node.names if foreign(a.name)}
        elif isinstance(node, ast.ImportFrom) and foreign(str(node.module)):
            names |= {a.asname or a.name for a in node.names}
    return names


def foreign(module: str) -> bool:
    return module.split(".", maxsplit=1)[0] not in {"ste", "hydra_plugins", *sys.stdlib_module_names}


def root_name(node: ast.expr) -> str | None:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def test_only_commands_and_the_shared_modules_lie_at_the_top():
    assert len(MODULES) > 200
    files = {path.stem for path in SOURCE.glob("*.py")}
    packages = {path.name for path in SOURCE.iterdir() if (path / "__init__.py").is_file()}
    assert files == COMMANDS | {"__init__", "__main__", *SHARED}
    assert packages | SHARED == set(RANK)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_down(path: Path):
    part = part_of(path)
    for name in imports(path):
        package, *rest = name.split(".")
        if package in FENCES:
            assert part in FENCES[package], f"{path} imports {name}"
        if package != "ste" or rest[0] == part or rest[0] == "__version__":
            continue
        assert rest[0] not in COMMANDS, f"{path} imports the command {name}"
        if part in RANK:
            assert RANK[rest[0]] < RANK[part], f"{path} imports {name}: {rest[0]} is not below {part}"


@pytest.mark.parametrize("path", OWN_CODE, ids=name_of)
def test_libraries_are_used_through_their_public_interface(path: Path):
    for name in imports(path):
        if foreign(name):
            private = [part for part in name.split(".") if part.startswith("_") and not part.endswith("__")]
            assert not private, f"{path} imports {name}"
    known = third_party_names(path)
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Attribute) and root_name(node) in known:
            assert node.attr.endswith("__") or not node.attr.startswith("_"), f"{path}:{node.lineno} uses {node.attr}"


@pytest.mark.parametrize("path", OWN_CODE, ids=name_of)
def test_no_library_is_patched(path: Path):
    known = third_party_names(path)
    for node in ast.walk(tree_of(path)):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for target in targets:
            if isinstance(target, ast.Attribute):
                assert root_name(target) not in known, f"{path}:{node.lineno} assigns to {ast.unparse(target)}"


def test_train_settings_are_split_where_training_starts():
    """Below `experiment.run` every function and class receives its own piece of the settings of a run."""
    naming = {path for path in MODULES if "TrainSettings" in path.read_text()}
    allowed = {SOURCE / name for name in ("train.py", "reproduce.py", "experiment/run.py", "library/train_model.py")}
    allowed |= set((SOURCE / "config").rglob("*.py"))
    assert naming - allowed == set()


def test_no_class_name_stands_twice():
    places = defaultdict(list)
    for path in OWN_CODE:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(name_of(path))
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_no_file_name_stands_twice():
    shared = {"__init__", "base", "registry"}
    places = defaultdict(list)
    for path in MODULES:
        places[path.stem].append(name_of(path))
    assert {name: where for name, where in places.items() if len(where) > 1 and name not in shared} == {}


@pytest.mark.parametrize("path", sorted((SOURCE / "models").glob("[a-z]*.py")), ids=lambda path: path.stem)
def test_a_net_imports_torch_and_the_registry_alone(path: Path):
    assert {n for n in imports(path) if not n.startswith(("torch", "ste.models.base."))} <= {"ste.registry.MODELS"}


def test_only_the_data_module_of_the_data_package_imports_lightning():
    users = {path.name for path in (SOURCE / "data").rglob("*.py") if any("lightning" in n for n in imports(path))}
    assert users == {"datamodule.py"}
