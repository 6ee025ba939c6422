"""Read feature sets: lists of columns in YAML, of the package or of the user's own folder.

`features=NAME` finds `conf/feature_sets/NAME.yaml` of the package, then `feature_sets/NAME.yaml` and `NAME.yaml` in the
current folder; `features=FILE.yaml` is a path; `features=[NAME,FILE.yaml]` joins sets. A program may give a mapping
with the content of a file and the set's `name` in the place of one.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Predicate

from ste.config.config_files import conf_dir
from ste.config.file_locations import nearby
from ste.config.validation import Expect, NonNegativeInt, Settings
from ste.errors import ConfigError, check_name
from ste.schema import HISTORY_ONLY, KEYS, NORMALIZATIONS, PERIOD_BAR, SCALES, TARGETS, Column, FeatureSet

FOLDER = "feature_sets"
ChosenFeatures = str | list[str | dict[str, Any]]
"""Feature sets as settings name them: names, files, or contents of files with the key `name`."""
ALL_COLUMNS = "columns"
"""Value of `features` that takes every numeric column of a ready table."""
DEFAULT = "weekly21"
_RESERVED = (*KEYS, *TARGETS, HISTORY_ONLY, "split", "period", "volatility", *(column.name for column in PERIOD_BAR))


def _is_column_name(text: str) -> bool:
    return text.isidentifier() and text not in _RESERVED


@dataclass
class _ColumnEntry(Settings):
    """A column as a file defines it: `schema.Column`."""

    section: ClassVar[str] = "column"

    name: Annotated[
        str, Predicate(_is_column_name), Expect("a name of letters, digits and _ that no other column of a table has")
    ]
    expr: str = ""
    meaning: str = ""
    group: str = "stock"
    unit: Literal[tuple(SCALES)] = "ratio"  # type: ignore[valid-type]
    scale: Literal[NORMALIZATIONS] | None = None  # type: ignore[valid-type]
    bands: list[str] | None = None
    positive: bool = False
    low: float | None = None
    high: float | None = None
    fill: float | None = None

    def check(self) -> None:
        """Check what depends on other fields."""
        banded = self.scale == "band_position"
        self.require(
            (self.bands is not None and len(self.bands) == 2) if banded else self.bands is None,
            "bands",
            "the names of the lower and upper band with scale: band_position, and nothing otherwise",
            example="[lower, upper]",
        )
        self.require(self.scale != "rank" or bool(self.expr), "scale", "a column with an expr with scale: rank", "none")

    def column(self) -> Column:
        """Return the column; one that is ranked is computed as the rank across the tickers of a date."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        values["bands"] = None if self.bands is None else tuple(self.bands)
        values["meaning"] = self.meaning or self.expr
        if self.scale == "rank":
            values |= {"expr": f"CSRank({self.expr})", "scale": "none"}
        return Column(**values)


@dataclass
class _SetFile(Settings):
    """The content of a file."""

    section: ClassVar[str] = ""

    columns: list[dict[str, Any]]
    lookback: NonNegativeInt = 0
    frequency: Literal["weekly", "daily", "monthly"] | None = None
    about: str = ""


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
    return join([_read(str(set_path(one))) if isinstance(one, str) else _given(one) for one in names])


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
    named = features.name.split("+")
    for path in sorted((conf_dir() / FOLDER).glob("*.yaml"), key=lambda path: path.stem not in named):
        if not own:
            break
        shipped = set(_read(str(path)).columns)
        own = dict.fromkeys(column for column in own if column not in shipped)
    return FeatureSet(features.name, tuple(own)).groups


def known_sets() -> dict[str, Path]:
    """Return the files that `features=NAME` finds, by name: those of the package, then of the current folder."""
    folders = (conf_dir() / FOLDER, Path(FOLDER))
    return {path.stem: path for folder in reversed(folders) for path in sorted(folder.glob("*.yaml"))}


def set_path(name: str) -> Path:
    """Find the file of a feature set.

    Raises:
        ConfigError: there is none.
    """
    path = Path(name).expanduser()
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise ConfigError(f"features={name}: no such file.{nearby(path)} Give the path of a feature set in YAML.")
        return path
    known = known_sets()
    if name not in known and Path(f"{name}.yaml").is_file():
        return Path(f"{name}.yaml")
    if name == ALL_COLUMNS:
        raise ConfigError(f"features={name}: takes the columns of ready tables (data=csv). Try features={DEFAULT}.")
    check_name("features", name, known)
    return known[name]


def _given(content: Mapping[str, Any]) -> FeatureSet:
    """Return the set of a mapping."""
    values = dict(content)
    name = str(values.pop("name", "own"))
    return _parse_json(name, json.dumps(values, sort_keys=True))


@cache
def _parse_json(name: str, text: str) -> FeatureSet:
    return _feature_set(json.loads(text), name, f"features: {name}")


def _read(path: str) -> FeatureSet:
    file = Path(path)
    return _parse(path, file.stem, file.read_text(encoding="utf-8"))


@cache
def _parse(path: str, name: str, text: str) -> FeatureSet:
    import yaml  # not needed where a model is served

    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: cannot be read as YAML ({' '.join(str(error).split())}).") from None
    return _feature_set(content, name, path)


def _feature_set(content: Any, name: str, path: str) -> FeatureSet:
    """Return the set that a file or a mapping defines; `path` is where, for messages."""
    if not isinstance(content, Mapping) or not isinstance(content.get("columns"), list):
        raise ConfigError(f"{path}: expected a mapping with `columns:`, a list of columns with name and expr.")
    given = _settings(_SetFile, content, path)
    columns = list(_columns(given.columns, path))
    names = [column.name for column in columns]
    if not names:
        raise ConfigError(f"{path}: has no columns. Expected at least one with name and expr.")
    twice = next((one for one in names if names.count(one) > 1), None)
    if twice:
        raise ConfigError(f"{path}: two columns are called {twice}. Expected different names.")
    for column in columns:
        for band in column.bands or ():
            check_name(f"{path}: bands of {column.name}", band, names)
    return FeatureSet(name, tuple(columns), given.lookback, given.frequency)


def _columns(entries: Sequence[Any], path: str) -> Iterator[Column]:
    from ste.expressions.expression import parse  # imports numpy

    for number, entry in enumerate(entries, start=1):
        named = entry.get("name") if isinstance(entry, Mapping) else None
        where = f"{path}: column {named or number}"
        if not isinstance(entry, Mapping):
            raise ConfigError(f"{where}: found {entry!r}; expected name and expr.")
        column = _settings(_ColumnEntry, {**entry, "expr": _text(entry.get("expr"))}, where).column()
        yield replace(column, expr=str(parse(column.expr, where).text)) if column.expr else column


def _text(expr: Any) -> str:
    """Return an expression as text: YAML reads `$close` as text and a lone `1` as a number."""
    return "" if expr is None else str(expr)


def _settings(kind: Any, values: Mapping[str, Any], where: str) -> Any:
    known = [one.name for one in fields(kind)]
    for key in values:
        if key not in known:
            check_name(f"{where}: setting", str(key), known)
    try:
        return kind(**values)
    except TypeError:  # a required field is missing
        raise ConfigError(f"{where}: expected name and expr.") from None
    except ConfigError as error:
        raise ConfigError(f"{where}: {str(error).replace('column.', '')}") from None
