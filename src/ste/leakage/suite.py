"""All checks on one source of data."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from ste.config import DataSettings, RealMarketSettings, SplitSettings, SyntheticSettings, TableSettings
from ste.config.header_check import check_columns
from ste.config.progress import step
from ste.data.build.labelled_rows import build_table
from ste.data.build.prepare import prepare
from ste.data.build.table_folder import content_digest
from ste.data.columns import check_lines, typed_frame
from ste.data.sources.daily_sources import daily_sources, with_calendar
from ste.data.storage.files import read_frame, sha256
from ste.data.storage.tables import read_table
from ste.data.table_labels import TableLabels, with_own_labels
from ste.errors import DataError, SteError
from ste.features.feature_rows import feature_rows
from ste.leakage.audit_table import SPLIT, AuditTable
from ste.leakage.bar_timing import early_series, early_tickers, early_volumes
from ste.leakage.bar_values import bar_values
from ste.leakage.check_result import Alarm, CheckResult, skipped
from ste.leakage.look_ahead import look_ahead
from ste.leakage.news_dates import early_news
from ste.leakage.null_models import NULL, null_market_models
from ste.leakage.odd_bars import odd_bars
from ste.leakage.panel_checks import fitted_checks, table_checks
from ste.leakage.release_dates import early_releases
from ste.market.calendar import Periods
from ste.market.sources import Market
from ste.schema import DIRECTION, KEYS, RETURN, SPLITS

CONTRACT = "contract"

_NULL_TICKERS = 20


@dataclass(frozen=True)
class Audit:
    """The results of all checks.

    Attributes:
        source: kind of the data, number of rows, tickers and columns, as text.
        digest: of the files of the tables, as in the data card.
        results: one per check, in the order of the checks.
        summary: what was understood of a table with columns of any name.
    """

    source: str
    digest: str
    results: tuple[CheckResult, ...]
    summary: tuple[str, ...] = ()

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        """Suspected leaks of all checks."""
        return tuple(found for result in self.results for found in result.alarms)

    @property
    def notes(self) -> tuple[str, ...]:
        """Observations of all checks that are no alarm."""
        return tuple(note for result in self.results for note in result.notes)

    @property
    def conclusion(self) -> str:
        """One sentence on the alarms."""
        count = len(self.alarms)
        if count:
            return f"{count} alarm{'s' * (count > 1)}: trust no score on this data before they are explained"
        ran = sum(result.ran for result in self.results)
        return f"no alarm in {ran} checks; other kinds of leaks are not ruled out"


def audit(settings: DataSettings, root: Path, *, strict: bool = False, shuffles: int = 2) -> Audit:
    """Run every check that applies to the source.

    Args:
        settings: of any source.
        root: folder with the table folders (`paths.data`).
        strict: see `single_columns.single_columns`.
        shuffles: permutations of the labels that models are fitted to; 0 skips them and the null market.

    Raises:
        DataError: a file that cannot be read as a table, or a source without rows.
    """
    settings = replace(with_calendar(settings), audit="off")  # features are reported below, not refused
    if settings.format == "parts":
        example = "data.tickers=100" if isinstance(settings, SyntheticSettings) else "data.tickers=[…]"
        raise DataError(
            "data.format=parts: an audit holds the complete table in memory. Try the same settings with "
            f"data.format=parquet and fewer tickers: {example}."
        )
    files = settings.files() if isinstance(settings, TableSettings) else None
    for split, path in (files or {}).items():
        if Path(path).is_dir():
            raise DataError(
                f"data.{split}={path}: is a folder of parts, and an audit holds the complete table in memory. Give "
                "single files with some of the tickers."
            )
    with step("reading the tables"):
        contract = _contract(settings)
        if files is None:
            prepared = prepare(settings, root)
            files = {split: str(path) for split, path in prepared.files.items()}
        table = read_leniently(files, TableLabels.of(settings.labels), settings.periods)
    with step("checking columns, splits and labels"):
        results = [contract, *table_checks(table, strict=strict, stated=settings.split.by == "row")]
    with step("checking the daily sources"):
        results += source_checks(settings)
    if shuffles:
        with step("fitting models to the labels, and to shuffled ones"):
            results += fitted_checks(table, results, shuffles)
        with step("fitting models to a market without signal"):
            results.append(null_market(settings, table))
    tickers = table.frame["ticker"].nunique()
    source = f"data={settings.source}: {len(table.frame):,} rows, {tickers} tickers, {len(table.features)} columns"
    digest = content_digest([sha256(path) for path in files.values()], settings)
    return Audit(source, digest, tuple(results))


def _contract(settings: DataSettings) -> CheckResult:
    """Read each file as `ste.train` does; a refused file is an alarm, and the audit continues."""
    if not isinstance(settings, TableSettings):
        return CheckResult(CONTRACT, "tables built by STE")
    alarms = []
    for split, path in settings.files().items():
        read_frame(path)  # a file that is no table cannot be audited
        try:
            read_table(path, settings.feature_set, settings.periods, TableLabels.of(settings.labels))
        except DataError as error:
            seen = str(error).removeprefix(f"{path}: ")
            alarms.append(
                Alarm(
                    CONTRACT, f"data.{split}={path}", seen.rstrip("."), "a table that ste.train reads", "Fix the file."
                )
            )
    return CheckResult(CONTRACT, f"{len(settings.files())} files as ste.train reads them", tuple(alarms))


def read_leniently(files: dict[str, str], labels: TableLabels, periods: Periods) -> AuditTable:
    """Read tables with columns of any name; rows without a date, ticker, return or class are dropped.

    Raises:
        DataError: no date or ticker column, or a date that is not one.
    """
    frames = []
    for split, path in files.items():
        frame = with_own_labels(read_frame(path), labels, path)
        check_columns(frame, KEYS, path)
        frame = frame[frame["date"].notna()]
        typed, violations = typed_frame(frame, numbers=(), names=())
        check_lines(violations, path, frame.index)
        frames.append(frame.assign(date=typed["date"], **{SPLIT: split}))
    rows = pd.concat(frames, ignore_index=True)
    needed = [name for name in (*KEYS, RETURN, DIRECTION) if name in rows]
    known = rows[needed].notna().all(axis=1)
    if DIRECTION in rows:
        known &= rows[DIRECTION].isin(range(labels.trend_count))
    if not (known & (rows[SPLIT] == "train")).any():
        raise DataError(f"{files['train']}: no row has date, ticker, return and class. Expected a labelled table.")
    named = {split: f"data.{split}={path}" for split, path in files.items()}
    return AuditTable(rows[known], labels.horizon, periods, named, labels.trend_count, labels.plain_return)


def source_checks(settings: DataSettings) -> Iterator[CheckResult]:
    """The checks of the daily sources; none for finished tables."""
    if isinstance(settings, TableSettings):
        return
    market = daily_sources(settings)

    def own(sources: Market) -> pd.DataFrame:
        return feature_rows(sources, settings.frequency, settings.feature_set, with_undefined=True)

    names = settings.files() if isinstance(settings, RealMarketSettings) else {}
    yield look_ahead(market, own)
    bars = names.get("bars", "bars")
    for check in (odd_bars, bar_values, early_tickers, early_volumes):
        yield check(market.bars, bars)
    if market.macro is not None:
        yield early_releases(market.macro, names.get("macro", "macro"))
        yield early_series(market.bars, market.macro, names.get("macro", "macro"))
    if market.news is not None and len(market.news):
        yield early_news(market.bars, market.news, names.get("news", "news"))


def null_market(settings: DataSettings, table: AuditTable) -> CheckResult:
    """Fit models on a synthetic market without signal, with the table's labels, split, dates and number of tickers."""
    split = _split_by_date(settings, table)
    if split is None:
        return skipped(NULL, "not run: the rows are not split by date")
    try:
        market = SyntheticSettings(
            source="world",
            calendar=settings.calendar,
            frequency=settings.frequency,
            features=settings.features,
            labels=settings.labels,
            split=split,
            representation=settings.representation,
            tickers=min(int(table.tickers.max()) + 1, _NULL_TICKERS),
            start=f"{table.frame['date'].min():%Y-%m-%d}",
            end=f"{table.frame['date'].max():%Y-%m-%d}",
            signal=0.0,
        )
        rows, codes, _, _ = build_table(market)
    except SteError as error:
        return skipped(NULL, f"not run: no synthetic market could be generated ({str(error).splitlines()[0]})")
    frame = rows.assign(**{SPLIT: [SPLITS[code] for code in codes]})
    return null_market_models(AuditTable(frame, settings.labels.horizon, settings.periods, trends=table.trends))


def _split_by_date(settings: DataSettings, table: AuditTable) -> SplitSettings | None:
    """The first dates of validation and test as split settings; None where the splits are not in date order."""
    if not isinstance(settings, TableSettings):
        return settings.split if settings.split.by == "date" else None
    starts = table.frame.groupby(SPLIT)["date"].min()
    ordered = [starts[name] for name in SPLITS if name in starts]
    if len(ordered) < 2 or ordered != sorted(set(ordered)):
        return None
    days = [f"{day:%Y-%m-%d}" for day in ordered[1:]]
    return replace(
        settings.split,
        validation=None,
        test=None,
        validation_start=days[0],
        test_start=days[1] if len(days) > 1 else None,
    )
