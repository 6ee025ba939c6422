"""The check of a file's column names, for every reader of tables and market files."""

from collections.abc import Iterable
from difflib import get_close_matches

from ste.errors import DataError


def check_columns(
    found: Iterable[object],
    expected: tuple[str, ...],
    where: object,
    *,
    strict: bool = False,
    optional: tuple[str, ...] = (),
) -> None:
    """Raise `DataError` unless a header has the expected columns.

    Args:
        found: column names of the file.
        expected: required columns.
        where: the file, for the message.
        strict: refuse other columns.
        optional: columns that are not refused.
    """
    names = [str(name) for name in found]
    missing = [name for name in expected if name not in names]
    extra = [name for name in names if name not in (*expected, *optional)]
    faults = [f"missing column{'s' * (len(missing) > 1)} {', '.join(missing)}"] if missing else []
    if strict and extra:
        faults.append(f"unknown column{'s' * (len(extra) > 1)} {', '.join(extra[:8])}")
    if faults:
        guesses = [(name, get_close_matches(name, extra, n=1, cutoff=0.7)) for name in missing]
        hints = "".join(f" Is {near[0]} meant as {name}?" for name, near in guesses[:3] if near)
        raise DataError(f"{where}: {'; '.join(faults)}.{hints} Expected {', '.join(expected)}.")
