"""Values of overrides as they were typed: run IDs, names and paths, which Hydra reads as other things.

Hydra reads `run=169e8539` as infinity, `data.tickers=[NULL]` as no ticker, and refuses `data.bars=~/step=1.csv`.
"""

import re
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

_OF_RUNS = re.compile(r"(run|runs|resume|model)=")
_LIKE_A_NUMBER = re.compile(r"(?<=[=\[,])(?:\d{6,}|\d+e\d{1,30})(?=[\],]|$)")
_TICKERS = re.compile(r"(\+{0,2}(?:data\.)?tickers)=(.*)", re.DOTALL)
_COLUMNS = re.compile(r"\+{0,2}((?:data\.|replay\.)?(?:columns|extra|extra_lag))=(.*)", re.DOTALL)
_EXTRA = re.compile(r"(?:data\.|replay\.)?extra(?:_lag)?\.\w+=")  # a key that no configuration file has
_PLUGIN = re.compile(r"(\+{0,2}plugins)=([\w.]+)")  # one, which the setting lists
_FREE = re.compile(
    r"((?:model\.arguments|fit\.loss_arguments|(?:scoring\.)?portfolio_arguments|augment\.arguments)\.[\w.]+=.*)",
    re.DOTALL,
)
_POSITION_OR_QUOTED = re.compile(r"\d+$|['\"]")
_COUNT = re.compile(r"[1-9]\d*|null")  # of tickers, or all
_HOME = re.compile(r"([\w.+]+)=~(?=/)")


def as_typed(override: str) -> str:
    """Quote the values of an override that Hydra would read as something else than what was typed.

    Args:
        override: as typed, such as `run=169e8539`, `data.tickers=BRK.B` or `data.bars=bars (2).csv`.

    Returns:
        The override, with `~/` as the home folder and a single name of `data.tickers` as a list.
    """
    if _OF_RUNS.match(override):
        return _LIKE_A_NUMBER.sub(r"'\g<0>'", override)
    columns = _COLUMNS.fullmatch(override)
    if columns:
        return f"++{columns[1]}={_mapping(columns[2])}"
    if plugin := _PLUGIN.fullmatch(override):
        return f"{plugin[1]}=[{plugin[2]}]"
    if _FREE.fullmatch(override):
        override = f"++{override}"  # arguments of a class, which the file does not list
    tickers = _TICKERS.fullmatch(override)
    if tickers:
        return f"{tickers[1]}={_names(tickers[2])}"
    if _EXTRA.match(override):
        override = f"++{override}"
    key, equals, value = _HOME.sub(rf"\1={Path.home()}", override).partition("=")
    if not equals or value[:1] in ("", "'", '"', "[", "{") or _is_readable(f"{key}={value}"):
        return key + equals + value
    return f"{key}={quoted(value)}"


def _mapping(value: str) -> str:
    """Quote the values of a mapping `{ticker: <SYMBOL>, open: 2}`; a position stays a number."""
    inner = re.fullmatch(r"\{(.*)\}", value, re.DOTALL)
    if inner is None:
        return value
    pairs = re.findall(r"\s*(\w+)\s*:\s*('[^']*'|\"[^\"]*\"|[^,]*)(?:,|$)", inner[1])
    names = {key: name.strip() for key, name in pairs}
    typed = {key: name if _POSITION_OR_QUOTED.match(name) else quoted(name) for key, name in names.items()}
    return "{" + ", ".join(f"{key}: {name}" for key, name in typed.items()) + "}"


def quoted(text: str) -> str:
    """Quote a text so that Hydra reads it back unchanged."""
    # Hydra reads backslashes as escapes only before a quote, the closing one included.
    inner = re.sub(r"(\\*)'", r"\1\1\\'", text)
    return "'" + re.sub(r"(\\+)$", r"\1\1", inner) + "'"


def _names(value: str) -> str:
    """Return a list of names, each quoted; a number of tickers and the values of a sweep stay as they are."""
    listed = value.startswith("[") and value.endswith("]") and "[" not in value[1:]
    if not listed and (_COUNT.fullmatch(value) or re.search(r"[\[\](),'\"]", value) or not value):
        return value
    names = [name.strip() for name in (value[1:-1] if listed else value).split(",")]
    return f"[{','.join(name if name[:1] in ('', chr(39), chr(34)) else quoted(name) for name in names)}]"


def _is_readable(override: str) -> bool:
    """Whether Hydra's grammar accepts an override."""
    try:
        OverridesParser.create().parse_override(override)
    except HydraException:
        return False
    return True
