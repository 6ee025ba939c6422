"""Settings of `python -m ste.fetch`."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ste.config.data_settings import CalendarName
from ste.config.run_settings import PathSettings
from ste.config.validation import Folder, Name, NonNegativeFloat, NonNegativeInt, Settings
from ste.errors import ConfigError, check_name
from ste.schema import EXCHANGE, MACRO_SERIES

Transform = Literal["level", "yearly", "annualized"]

_TRANSFORMS: tuple[Transform, ...] = ("level", "yearly", "annualized")
_SERIES = re.compile(r"(?P<id>\w+)(?::(?P<transform>[a-z]+)(?::(?P<lag>\d{1,2}))?)?")
_LISTS = (".txt", ".csv")  # endings of a file of tickers; no exchange has such a suffix


@dataclass(frozen=True)
class MacroRequest:
    """What is fetched for a macro series.

    Attributes:
        series_id: of FRED, such as `CPIAUCSL`.
        transform: `level`; `yearly`, percent change over 12 months; or `annualized`, percent change over 3 months at an
            annual rate.
        lag: business days from an observation to its release, of a series that is not revised; None takes first
            releases and their dates from ALFRED.
    """

    series_id: str
    transform: Transform = "level"
    lag: int | None = None


@dataclass
class FetchSettings(Settings):
    """What to fetch, from which service, and where to write it.

    Attributes:
        source: `yahoo` (bars and actions) or `fred` (macro series).
        tickers: of Yahoo; or one file with a ticker a line.
        calendar: of the exchange whose sessions the report counts gaps by: a name of exchange_calendars, or `24/7`.
        series: by name of `schema.MACRO_SERIES`, `ID`, `ID:TRANSFORM` or `ID:TRANSFORM:LAG` (`MacroRequest`); None
            leaves a series out.
        folder: of the files; None is `SOURCE` in `paths.data`.
        pause: seconds between two tickers or series.
        backoff: seconds of the first wait after the service refused a request as one too many; each further wait is
            twice as long.
        retries: waits before the service is given up.
        paths: folders.
    """

    source: Name
    tickers: list[str] = field(default_factory=list)
    calendar: CalendarName = EXCHANGE
    series: dict[str, str | None] = field(default_factory=dict)
    folder: Folder | None = None
    pause: NonNegativeFloat = 1.0
    backoff: NonNegativeFloat = 15.0
    retries: NonNegativeInt = 4
    paths: PathSettings = field(default_factory=PathSettings)

    def check(self) -> None:
        """Check the names of the series, what is asked for them, and the calendar."""
        for name in self.series:
            check_name("series", name, MACRO_SERIES)
        if self.calendar != EXCHANGE:
            from ste.market.calendar import trading_calendar  # imports pandas

            trading_calendar(self.calendar, "calendar")
        self.macro_requests()

    def output(self) -> Path:
        """Return the folder of the files."""
        return Path(self.folder) if self.folder else Path(self.paths.data) / self.source

    def macro_requests(self) -> dict[str, MacroRequest]:
        """Return what is asked for each series."""
        return {name: _macro_request(name, text) for name, text in self.series.items() if text is not None}

    def ticker_names(self) -> list[str]:
        """Return the tickers, each once, in their order; those of a file where one is named.

        Raises:
            ConfigError: no tickers, or a file that cannot be read.
        """
        names = self.tickers
        if len(names) == 1 and names[0].endswith(_LISTS):
            names = _read_names(Path(names[0]))
        names = list(dict.fromkeys(name.strip() for name in names if name.strip()))
        self.require(bool(names), "tickers", "names, or a file with one a line", example="[AAPL,MSFT]")
        return names


def _read_names(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"tickers={path}: cannot be read ({error}). Expected a file with a ticker a line.") from None
    names = [line.split("#", 1)[0].strip() for line in lines]
    bad = next((number for number, name in enumerate(names, 1) if re.search(r"[\s,;]", name)), None)
    if bad is not None:
        raise ConfigError(f"tickers={path}, line {bad}: found {lines[bad - 1]!r}. Expected one ticker a line.")
    return names


def _macro_request(name: str, text: str) -> MacroRequest:
    found = _SERIES.fullmatch(text)
    if found is None or (found["transform"] or "level") not in _TRANSFORMS:
        raise ConfigError(
            f"series.{name}={text}: expected ID, ID:TRANSFORM or ID:TRANSFORM:LAG, with TRANSFORM one of "
            f"{', '.join(_TRANSFORMS)} and LAG in business days. Try series.{name}=CPIAUCSL:yearly."
        )
    transform = next(each for each in _TRANSFORMS if each == (found["transform"] or "level"))
    return MacroRequest(found["id"], transform, None if found["lag"] is None else int(found["lag"]))
