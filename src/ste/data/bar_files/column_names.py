"""Which column of a file is which: usual names of the columns of bars, in any spelling."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ste.config.read_options import FIELDS, ReadOptions
from ste.errors import DataError

_NAMES: dict[str, tuple[str, ...]] = {
    key: tuple(names.split())
    for key, names in {
        # In order of preference: of a file's Symbol and Name, Symbol is the ticker.
        "ticker": "ticker symbol tic sym tsymbol tscode instrument stockcode code asset security stock ric "
        "actsymbol name",
        "date": "date dates tradedate tradingdate sessiondate datetime timestamp day time opentime windowstart datum "
        "dt t index unnamed0",
        "open": "open openprice priceopen pxopen o",
        "high": "high highprice pricehigh pxhigh max h",
        "low": "low lowprice pricelow pxlow min l",
        "close": "close closeprice closelast closingprice priceclose pxlast last latest price c",
        "volume": "volume vol sharevolume tradingvolume tradedvolume totalvolume pxvolume tottrdqty v",
        "adj_close": "adjclose adjustedclose closeadj closeadjusted adjclosingprice adjcloseprice adjustedclosingprice "
        "adjustedcloseprice adjustedprice adjprice adjusted adjcls",
    }.items()
}
"""Plain names (`plain_name`) of each column."""
INDEX_NAMES = ("", "index", "unnamed0")
"""Plain names of the index of a frame."""
_LONGEST = 40  # characters of a name in a message
_FULLY_ADJUSTED = {name: (f"adj{name}", f"adjusted{name}", f"{name}adj", f"{name}adjusted") for name in FIELDS}


@dataclass(frozen=True)
class ColumnMap:
    """Columns of a table by what they hold.

    Attributes:
        positions: of `ticker`, `date`, `time` (of the day, next to a date), the fields and `adj_close`, from 0; what
            the table lacks is missing.
        ignored: names of the other columns.
    """

    positions: dict[str, int]
    ignored: tuple[str, ...]

    def missing(self) -> list[str]:
        """Return which required columns were not found."""
        return [name for name in ("date", *FIELDS) if name not in self.positions]


def plain_name(name: str) -> str:
    """Return a name without case, punctuation, units in parentheses and numbering: adjclose of `5. Adj Close*`."""
    name = re.sub(r"\(.*?\)|^\s*\d+\.\s*", "", name.casefold())
    return re.sub(r"[^\w]|_", "", name)


def field_of(name: str) -> str | None:
    """Return which field (`open` to `volume`, `adj_close`) a name means, or None."""
    plain = plain_name(name)
    return next((key for key in (*FIELDS, "adj_close") if plain and plain in _NAMES[key]), None)


def is_date_name(name: str) -> bool:
    """Whether a name means the date; the column of an index has none."""
    return plain_name(name) in ("", *_NAMES["date"])


def is_ticker_name(name: str) -> bool:
    """Whether a name means the ticker."""
    return plain_name(name) in _NAMES["ticker"]


def usual_positions(header: Sequence[str], key: str) -> list[int]:
    """Return where the most usual name of `ticker` or `date` stands that a header has: its places from 0.

    A name that only the index of a frame has means nothing here.

    Args:
        header: names in the file's order.
        key: `ticker` or `date`.
    """
    plain = [plain_name(name) for name in header]
    for name in _NAMES[key]:
        found = [at for at, one in enumerate(plain) if one == name and name not in INDEX_NAMES]
        if found:
            return found
    return []


def map_columns(header: Sequence[str], options: ReadOptions, where: str) -> ColumnMap:
    """Find the columns of bars by their names.

    Args:
        header: names in the file's order.
        options: with the names that the user states.
        where: the file, for messages.

    Raises:
        DataError: a stated column is not there, or two columns have the same meaning.
    """
    stated = f"{options.prefix}columns"
    positions = {}
    for key, name in options.columns.items():
        positions[key] = _stated_position(header, name, f"{stated}={{{key}: {name}}}: {where}")
        twice = [other for other, at in positions.items() if at == positions[key] and other != key]
        if twice:
            raise DataError(f"{stated}: {where}: {twice[0]} and {key} are the same column {name}. Expected two.")
    plain = [plain_name(name) for name in header]
    free = [at for at in range(len(header)) if at not in positions.values()]
    adjusted_only = not any(plain[at] in _NAMES["open"] for at in free)
    for key, usual in _NAMES.items():
        if key in positions or (adjusted_only and key == "adj_close"):
            continue
        # Where every price is adjusted, they are the bars; the index of a frame may have no name.
        further = _FULLY_ADJUSTED.get(key, ()) if adjusted_only else ("",) if key == "date" else ()
        for name in (*usual, *further):
            found = [at for at in free if plain[at] == name]
            if len(found) > 1:
                both = " and ".join(f"{at + 1} ({header[at] or 'no name'})" for at in found[:2])
                raise DataError(
                    f"{where}: the columns {both} both look like {key}. Say which one it is: "
                    f"{stated}={{{key}: {found[0] + 1}}}."
                )
            if found:
                positions[key] = found[0]
                free.remove(found[0])
                break
    if adjusted_only and "adj_close" not in positions and "close" not in positions:
        free_adjusted = [at for at in free if plain[at] in _NAMES["adj_close"]]
        if len(free_adjusted) == 1:
            positions["close"] = free_adjusted[0]
            free.remove(free_adjusted[0])
    clock = [at for at in free if plain[at] == "time"]
    if len(clock) == 1 and "date" in positions:
        positions["time"] = clock[0]
        free.remove(clock[0])
    ignored = tuple(header[at] or f"column {at + 1}" for at in free)
    return ColumnMap(positions, ignored)


def _stated_position(header: Sequence[str], name: str | int, where: str) -> int:
    if isinstance(name, int):
        if not 1 <= name <= len(header):
            raise DataError(f"{where} has {len(header)} columns. Expected a position from 1 to {len(header)}.")
        return name - 1
    for spelling in (str.strip, plain_name):
        found = [at for at, one in enumerate(header) if spelling(one) == spelling(name)]
        if len(found) == 1:
            return found[0]
        if found:
            places = " and ".join(str(at + 1) for at in found[:2])
            raise DataError(f"{where} has columns of this name at {places}. Give the position instead of the name.")
    raise DataError(f"{where} has no such column. It has {shown_names(header)}.")


def unknown_columns(header: Sequence[str], found: ColumnMap, options: ReadOptions, where: str) -> DataError:
    """Return the error for a table whose columns are not those of bars, with the line to type."""
    missing = found.missing()
    if len(header) == 1:
        return DataError(
            f"{where}: has one column, {shown_names(header)}. Expected a table whose fields are separated by commas, "
            "semicolons, tabs or |."
        )
    if missing == ["volume"]:
        return DataError(
            f"{where}: no column for volume. Found the columns {shown_names(header)}. Expected a volume in every bar: "
            f"state its column, {options.prefix}columns={{volume: NAME}}, or add one of zeros where none is traded."
        )
    known = ", ".join(f"{header[at]} as {key}" for key, at in found.positions.items() if header[at] != key)
    unused = [name for name in header if name.strip() in {one.strip() for one in found.ignored}]
    names = [*unused, *["NAME"] * len(missing)]
    example = ", ".join(f"{key}: {name}" for key, name in zip(missing, names, strict=False))
    return DataError(
        f"{where}: no column for {', '.join(missing)}. Found the columns {shown_names(header)}"
        f"{f' ({known})' if known else ''}. Expected date, open, high, low, close and volume under their usual names. "
        f"Say which is which, for example {options.prefix}columns={{{example}}}; or leave out a file without bars."
    )


def shown_names(names: Sequence[str], most: int = 12) -> str:
    """Return names for a message, the first `most` of them."""
    short = [name if len(name) <= _LONGEST else f"{name[: _LONGEST - 3]}..." for name in names[:most]]
    return ", ".join(short) + (", ..." if len(names) > most else "")
