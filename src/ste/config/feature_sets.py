"""Read feature sets: lists of columns in YAML, of the package or of the user's own folder.

`features=NAME` finds `conf/feature_sets/NAME.yaml` of the package or of a plugin, and `feature_sets/NAME.yaml` and
`NAME.yaml` in the current folder; two files of one name are refused. `features=FILE.yaml` is a path;
`features=[NAME,FILE.yaml]` joins sets. A program may give a mapping with the content of a file and the set's `name` in
the place of one.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from glob import escape
from pathlib import Path
from typing import Any

from ste.config.config_files import conf_dir, plugin_folders
from ste.config.feature_set_file import given_set, read_set_file
from ste.config.file_locations import nearby
from ste.errors import ConfigError, check_name
from ste.schema import Column, FeatureSet

FOLDER = "feature_sets"
ChosenFeatures = str | list[str | dict[str, Any]]
"""Feature sets as settings name them: names, files, or contents of files with the key `name`."""
ALL_COLUMNS = "columns"
"""Value of `features` that takes every numeric column of a ready table."""
DEFAULT = "weekly21"


def load_feature_set(chosen: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]]) -> FeatureSet:
    """Return a feature set, or several joined.

    Args:
        chosen: a name, a path or the content of a file with the key `name`; or several.

    Raises:
        ConfigError: no such set, a fault in a file or in an expression, or two columns of one name.
    """
    names = (chosen,) if isinstance(chosen, str | Mapping) else tuple(chosen)
    if not names:
        raise ConfigError(f"features=[]: expected a feature set. Try features={DEFAULT}.")
    return join([read_set_file(str(set_path(one))) if isinstance(one, str) else given_set(one) for one in names])


def join(sets: Sequence[FeatureSet]) -> FeatureSet:
    """Join feature sets; columns that are the same in two of them count once.

    Raises:
        ConfigError: a column with two definitions, or sets of different frequencies.
    """
    if len(sets) == 1:
        return sets[0]
    columns: dict[str, Column] = {}
    for column in (one for each in sets for one in each.columns):
        if columns.setdefault(column.name, column) != column:
            raise ConfigError(
                f"features={'+'.join(one.name for one in sets)}: two columns are called {column.name}. Expected "
                "different names, or the same definition."
            )
    frequencies = {one.frequency for one in sets if one.frequency}
    if len(frequencies) > 1:
        raise ConfigError(
            f"features={'+'.join(one.name for one in sets)}: are for {' and '.join(sorted(frequencies))} rows. "
            "Expected sets of one frequency."
        )
    return FeatureSet(
        "+".join(one.name for one in sets),
        tuple(columns.values()),
        max(one.lookback for one in sets),
        next(iter(frequencies), None),
    )


def own_groups(features: FeatureSet) -> dict[str, tuple[str, ...]]:
    """Return the columns that no set of the package defines, the user's, by group."""
    own = dict.fromkeys(features.columns)
    for each in shipped_sets(features.name.split("+")):
        shipped = set(each.columns)
        own = dict.fromkeys(column for column in own if column not in shipped)
        if not own:
            break
    return FeatureSet(features.name, tuple(own)).groups


def shipped_sets(first: Collection[str] = ()) -> Iterator[FeatureSet]:
    """Yield the sets of the package by name, those of some names first."""
    for path in sorted((conf_dir() / FOLDER).glob("*.yaml"), key=lambda path: (path.stem not in first, path.stem)):
        yield read_set_file(str(path))


def set_names() -> set[str]:
    """Return what `features=NAME` may name."""
    return {path.stem for path in _set_files()}


def _set_files(name: str = "*") -> list[Path]:
    """Files that `features=NAME` finds, here for any name: of the package, of plugins and of the current folder."""
    file, folders = f"{name}.yaml", (conf_dir(), *plugin_folders(), Path())
    files = [path for folder in folders for path in sorted((folder / FOLDER).glob(file))]
    return files + [path for path in sorted(Path().glob(file)) if path.is_file() and _defines_columns(path)]


def _defines_columns(path: Path) -> bool:
    """Whether a file, which may have another purpose, looks like a feature set."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return any(line.startswith("columns:") for line in lines)


def set_path(name: str) -> Path:
    """Find the file of a feature set.

    Raises:
        ConfigError: there is none, or more than one.
    """
    path = Path(name).expanduser()
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise ConfigError(f"features={name}: no such file.{nearby(path)} Give the path of a feature set in YAML.")
        return path
    named = _set_files(escape(name)) if path.name == name else []  # a path has no other place
    found = named or [one for one in (Path(f"{name}.yaml"),) if one.is_file()]
    if len(found) > 1:
        raise ConfigError(
            f"features={name}: there are {found[0]} and {found[1]}. Rename one of them, or type features={found[1]}."
        )
    if name == ALL_COLUMNS:
        raise ConfigError(f"features={name}: takes the columns of ready tables (data=csv). Try features={DEFAULT}.")
    if not found:
        check_name("features", name, set_names())
    return found[0]
