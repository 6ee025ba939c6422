"""The file of a feature set: a list of columns in YAML."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Predicate

from ste.config.validation import Expect, NonNegativeInt, Settings
from ste.errors import ConfigError, check_name, described
from ste.schema import NORMALIZATIONS, NOT_FEATURES, ROW_PERIOD, ROW_VOLATILITY, SCALES, Column, FeatureSet

_TRY_NEW = "Try python -m ste.new feature_set mine, and see mine.yaml."
_RESERVED = (*NOT_FEATURES, ROW_PERIOD, ROW_VOLATILITY)


_NAME = "a name of letters, digits and _, which starts with a letter,"


def _is_column_name(text: str) -> bool:
    return text.isidentifier() and text not in _RESERVED


@dataclass
class _ColumnEntry(Settings):
    """A column as a file defines it: `schema.Column`."""

    section: ClassVar[str] = "column"

    name: Annotated[str, Predicate(_is_column_name), Expect(f"{_NAME} that no other column of a table has", "momentum")]
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

    columns: list[Any]
    lookback: NonNegativeInt = 0
    frequency: Literal["weekly", "daily", "monthly"] | None = None
    about: str = ""


def read_set_file(path: str) -> FeatureSet:
    """Read the feature set of a file.

    Raises:
        ConfigError: it cannot be read, or has a fault; the message names the line or the column.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: cannot be read as text ({described(error)}). Expected a feature set in YAML."
        ) from None
    return _parse(path, file.stem, text)


def given_set(content: Mapping[str, Any]) -> FeatureSet:
    """Return the set of a mapping with the content of a file, and the set's `name`.

    Raises:
        ConfigError: it has a fault.
    """
    values = dict(content)
    name = str(values.pop("name", "own"))
    return _parse_json(name, json.dumps(values, sort_keys=True))


@cache
def _parse_json(name: str, text: str) -> FeatureSet:
    return _feature_set(json.loads(text), name, f"features: {name}")


@cache
def _parse(path: str, name: str, text: str) -> FeatureSet:
    import yaml  # not needed where a model is served

    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(_yaml_error(path, text, error)) from None
    return _feature_set(content, name, path)


def _feature_set(content: Any, name: str, path: str) -> FeatureSet:
    """Return the set that a file or a mapping defines; `path` is where, for messages."""
    if not isinstance(content, Mapping) or not isinstance(content.get("columns"), list):
        raise ConfigError(f"{path}: expected `columns:`, a list of columns with name and expr. {_TRY_NEW}")
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


def _yaml_error(path: str, text: str, error: Exception) -> str:
    """Message about text that is no YAML: the line, and what was found there."""
    mark = getattr(error, "problem_mark", None)
    found = getattr(error, "problem", None) or " ".join(str(error).split())
    if mark is None:
        return f"{path}: is no YAML: {found}."
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return f"{path}, line {mark.line + 1}: starts with a tab. Indent with spaces."
    return f"{path}, line {mark.line + 1}: is no YAML: {found}, in `{line.strip()}`. Put an expression in quotes."


def _columns(entries: Sequence[Any], path: str) -> Iterator[Column]:
    from ste.expressions.expression import parse  # imports numpy

    for number, entry in enumerate(entries, start=1):
        named = entry.get("name") if isinstance(entry, Mapping) else None
        where = f"{path}: column {named or number}"
        if not isinstance(entry, Mapping):
            raise ConfigError(f"{where}: found {entry!r}; expected name and expr.")
        rest = [str(key) for key, value in entry.items() if value is None and not str(key).isidentifier()]
        if rest and "expr" in entry:
            whole = ", ".join([str(entry["expr"]), *rest])
            raise ConfigError(f"{where}: the expression ends at a comma. Put it in quotes: expr: '{whole}'")
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
