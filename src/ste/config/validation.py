"""Checks that settings make of themselves, each fault told with what to type instead."""

from dataclasses import fields
from datetime import date
from typing import Any

from ste.errors import ConfigError


def require(settings: object, key: str, ok: bool, expected: str, example: object = None) -> None:
    """Raise unless `ok`; the last part of `key` names the field, whose default is the example to type."""
    if ok:
        return
    name = key.rsplit(".", 1)[-1]
    default = fields_of(settings)[name].default if example is None else example
    shown = "null" if default is None else default
    raise ConfigError(f"{key}={getattr(settings, name)}: expected {expected}. Try {key}={shown}.")


def fields_of(settings: object) -> dict[str, Any]:
    """The dataclass fields of a settings object or class by name."""
    return {field.name: field for field in fields(settings)}  # type: ignore[arg-type]


def choice(settings: object, key: str, allowed: tuple[str, ...]) -> None:
    """Raise unless the field that `key` ends in is one of `allowed`."""
    found = getattr(settings, key.rsplit(".", 1)[-1])
    require(settings, key, found in allowed, "one of " + ", ".join(allowed), allowed[0])


def iso_date(key: str, found: str | None) -> None:
    """Raise unless it is None or a date as ISO 8601 writes it, which sorts as text."""
    if found is None:
        return
    try:
        if date.fromisoformat(str(found)).isoformat() != str(found):  # 20150131 would not sort with the others
            raise ValueError(found)
    except ValueError:
        raise ConfigError(f"{key}={found}: expected a date such as {key}=2015-01-31.") from None
