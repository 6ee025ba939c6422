"""Validation of settings: the types of their fields, rules between fields, and the one format of their messages.

Fields are validated by pydantic, which is imported at the first validation: `--help` does not wait for it.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from datetime import date
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Len, Lt, Predicate

from ste.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class Expect:
    """What a field expects; stands in `Annotated` where its type and bounds do not say it.

    Attributes:
        text: in words.
        example: value to type; None is the field's default.
    """

    text: str
    example: str | None = None


def is_iso_date(text: str) -> bool:
    """Whether a text is a date as `2015-01-31`; such dates sort as text, which `20150131` would not."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


PositiveInt = Annotated[int, Ge(1)]
NonNegativeInt = Annotated[int, Ge(0)]
PositiveFloat = Annotated[float, Gt(0)]
NonNegativeFloat = Annotated[float, Ge(0)]
Name = Annotated[str, Len(1), Expect("a name")]
FileName = Annotated[str, Len(1), Expect("a file")]
Folder = Annotated[str, Len(1), Expect("a folder")]
IsoDate = Annotated[str, Predicate(is_iso_date), Expect("a date such as 2015-01-31")]


class Settings:
    """Base of the settings dataclasses: validates every instance when it is constructed.

    Attributes:
        section: key of the group in the configuration, such as `data.labels`; empty for a command.
    """

    section: ClassVar[str] = ""

    def __post_init__(self) -> None:
        """Validate the fields, then the rules between them.

        Raises:
            ConfigError: a value that cannot be used; the message names what to type.
        """
        for name, value in validate_fields(type(self), self.section, vars(self)).items():
            setattr(self, name, value)
        self.check()

    @classmethod
    def gathered(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the fields of a configuration; subclasses override it where a field gathers several keys."""
        return values

    def check(self) -> None:
        """Check rules between fields; subclasses override it and call `require`."""

    def given(self, names: Iterable[str]) -> dict[str, str]:
        """Return the paths of the files that are given, by the names of their settings."""
        return {name: str(path) for name in names if (path := getattr(self, name)) is not None}

    def require(self, ok: bool, name: str, expected: str, example: object = None) -> None:
        """Raise `ConfigError` unless a rule holds.

        Args:
            ok: whether it holds.
            name: field to change.
            expected: what it should be, in words.
            example: value to type; None is the field's default.
        """
        if not ok:
            example = _default(type(self), name) if example is None else example
            raise setting_error(self.section, name, getattr(self, name), expected, example)


def setting_error(section: str, name: str, found: object, expected: str, example: object) -> ConfigError:
    """Make the error of one setting, in the form `key=found: expected ... Try key=example.`."""
    key = f"{section}.{name}" if section else name
    return ConfigError(f"{key}={as_typed(found)}: expected {expected}. Try {key}={as_typed(example)}.")


def as_typed(value: object) -> str:
    """A value as the command line writes it."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def validate_fields(cls: type, section: str, values: dict[str, Any]) -> dict[str, Any]:
    """Validate the values of a settings dataclass by the annotations of its fields.

    Args:
        cls: the dataclass.
        section: its key in the configuration, for messages.
        values: by field name, complete.

    Returns:
        The values in the types of their fields: an int as float or text where the field asks for it.

    Raises:
        ConfigError: a value of the wrong type or out of range.
    """
    from pydantic import ValidationError

    hints = _hints(cls)
    try:
        return dict(_adapter(cls).validate_python(values))
    except ValidationError as error:
        name = str(error.errors(include_url=False)[0]["loc"][0])
        raise setting_error(section, name, values[name], describe(hints[name]), _example(cls, name)) from None


def validate_value(key: str, value: object, hint: Any, example: object) -> None:
    """Validate one value that is not the field of a settings class.

    Raises:
        ConfigError: it is of another type.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        TypeAdapter(hint).validate_python(value, strict=True)
    except ValidationError:
        raise setting_error("", key, value, describe(hint), example) from None


def describe(hint: Any) -> str:
    """What a field of this annotation expects, in words: `a finite number above 0, or null`."""
    if get_origin(hint) in (Union, UnionType):
        kinds = [describe(kind) for kind in get_args(hint) if kind is not NoneType]
        return " or ".join(kinds) + (", or null" if NoneType in get_args(hint) else "")
    if get_origin(hint) is Literal:
        choices = [as_typed(choice) for choice in get_args(hint)]
        return choices[0] if len(choices) == 1 else "one of " + ", ".join(choices)
    if get_origin(hint) is list:
        return f"a list, each {describe(get_args(hint)[0])}"
    kind, *metadata = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    text = next((entry.text for entry in metadata if isinstance(entry, Expect)), None)
    bounds = (_BOUNDS[type(entry)].format(entry) for entry in metadata if type(entry) in _BOUNDS)
    return text or _WORDS.get(kind, "another type") + "".join(bounds)


_WORDS = {int: "a whole number", float: "a finite number", str: "text", bool: "true or false"}
_BOUNDS = {Gt: " above {0.gt}", Ge: ", {0.ge} or more", Lt: ", less than {0.lt}", Le: ", {0.le} or less"}


@cache
def _hints(cls: type) -> dict[str, Any]:
    """Annotations of the fields; other settings, which validate themselves, are taken as they are."""
    hints = get_type_hints(cls, include_extras=True)
    nested = {name for name, hint in hints.items() if isinstance(hint, type) and dataclasses.is_dataclass(hint)}
    return {field.name: Any if field.name in nested else hints[field.name] for field in dataclasses.fields(cls)}


@cache
def _adapter(cls: type) -> Any:
    """Pydantic's validator of a dataclass's fields as a dict: finite numbers, and a number as text: `run=123`."""
    from pydantic import ConfigDict, TypeAdapter, with_config
    from typing_extensions import TypedDict

    configured = with_config(ConfigDict(allow_inf_nan=False, coerce_numbers_to_str=True))
    return TypeAdapter(configured(TypedDict(cls.__name__, _hints(cls))))  # type: ignore[operator]


def _example(cls: type, name: str) -> object:
    """A valid value of a field: the one that its annotation names, its default or its first choice."""
    hint = _hints(cls)[name]
    named = [entry.example for entry in get_args(hint)[1:] if isinstance(entry, Expect) and entry.example]
    choices = get_args(hint) if get_origin(hint) is Literal else ()
    default = _default(cls, name)
    return next(iter(named), default if default is not None or not choices else choices[0])


def _default(cls: type, name: str) -> object:
    field = next(field for field in dataclasses.fields(cls) if field.name == name)
    return None if field.default is dataclasses.MISSING else field.default
