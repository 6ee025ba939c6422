"""All the standing checks on one source of data."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from ste.config import DataSettings, MarketSettings, SplitSettings, TableSettings, WorldSettings
from ste.data.build.labelled_rows import build_table
from ste.data.build.prepare import prepare
from ste.data.sources.market_files import read_market
from ste.data.storage.files import read_frame, sha256
from ste.data.storage.tables import read_table
from ste.errors import DataError, SteError
from ste.features.feature_rows import feature_rows
from ste.leakage.audit_table import SPLIT, AuditTable
from ste.leakage.check_result import Alarm, CheckResult, skipped
from ste.leakage.encoded_labels import hidden_codes
from ste.leakage.label_horizon import label_horizon
from ste.leakage.look_ahead import Features, changed_by_the_future
from ste.leakage.null_models import NULL, nothing_in_the_null, shuffled_labels
from ste.leakage.overlaps import copied_rows, overlapping_splits
from ste.leakage.preprocessing import future_scalers, future_thresholds
from ste.leakage.single_columns import known_labels
from ste.leakage.source_files import early_releases, news_of_tomorrow, odd_bars
from ste.market.daily import Market
from ste.schema import DIRECTION, KEYS, RETURN, SPLITS, Trend
from ste.synthetic.generator import draw

CONTRACT = "contract"

_NULL_TICKERS = 20


@dataclass(frozen=True)
class Audit:
    """What the checks saw.

    Attributes:
        source: the data's kind, rows and tickers, in words.
        digest: of the tables' bytes, as the data card has it.
        results: one per check, in the order in which they ran.
    """

    source: str
    digest: str
    results: tuple[CheckResult, ...]

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        """Suspected leaks of every check."""
        return tuple(found for result in self.results for found in result.alarms)


def audit(
    settings: DataSettings, root: Path, *, strict: bool = False, shuffles: int = 2, features: Features | None = None
) -> Audit:
    """Run every check that the source allows.

    Args:
        settings: of any source.
        root: folder that holds the table folders (`paths.data`).
        strict: see `columns.known_labels`.
        shuffles: permutations of the labels that quick models are tried on; 0 leaves them and the null world out.
        features: makes feature rows from a market, for the cut-off check; None is STE's own.

    Raises:
        DataError: a file that cannot be read as a table at all, or a source that gives no table.
    """
    if settings.format == "parts":
        some = "data.tickers=100" if isinstance(settings, WorldSettings) else "data.tickers=[…]"
        raise DataError(
            "data.format=parts: an audit holds the whole table in memory. Try the same settings with "
            f"data.format=parquet and fewer tickers: {some}."
        )
    files = settings.files() if isinstance(settings, TableSettings) else None
    for split, path in (files or {}).items():
        if Path(path).is_dir():
            raise DataError(
                f"data.{split}={path}: is a folder of parts, and an audit holds the whole table in memory. Give it "
                "single files with some of the tickers."
            )
    contract = _contract(settings)
    if files is None:
        prepared = prepare(settings, root)
        files = {split: str(path) for split, path in prepared.files.items()}
    table = read_leniently(files, settings.labels.horizon, settings.frequency)
    results = [contract, *table_checks(table, strict=strict, stated=settings.split.by == "row")]
    results += source_checks(settings, features)
    if shuffles:
        results += [shuffled_labels(table, shuffles), null_world(settings, table)]
    tickers = table.frame["ticker"].nunique()
    source = f"data={settings.source}: {len(table.frame):,} rows, {tickers} tickers, {len(table.features)} columns"
    return Audit(source, _digest(files), tuple(results))


def table_checks(table: AuditTable, *, strict: bool = False, stated: bool = False) -> list[CheckResult]:
    """The checks that need nothing but the rows."""
    return [
        known_labels(table, strict=strict),
        hidden_codes(table),
        future_scalers(table),
        future_thresholds(table),
        overlapping_splits(table, stated=stated),
        copied_rows(table),
        label_horizon(table),
    ]


def _digest(files: dict[str, str]) -> str:
    return hashlib.sha256("".join(sha256(path) for path in files.values()).encode()).hexdigest()[:16]


def _contract(settings: DataSettings) -> CheckResult:
    """Each file by itself against what STE reads; what is refused is an alarm, and the audit goes on."""
    if not isinstance(settings, TableSettings):
        return CheckResult(CONTRACT, "tables built by STE")
    alarms = []
    for split, path in settings.files().items():
        read_frame(path)  # a file that is no table at all cannot be audited
        try:
            read_table(path, settings.frequency, settings.features)
        except DataError as error:
            seen = str(error).removeprefix(f"{path}: ")
            alarms.append(
                Alarm(CONTRACT, f"data.{split}={path}", seen.rstrip("."), "a table that ste.train reads", "Mend it.")
            )
    return CheckResult(CONTRACT, f"{len(settings.files())} files as ste.train reads them", tuple(alarms))


def read_leniently(files: dict[str, str], horizon: int, frequency: str) -> AuditTable:
    """Tables as they are, with columns of any name; rows without a date, ticker, return or class are left out.

    Raises:
        DataError: no date or ticker column, or dates that are none.
    """
    frames = []
    for split, path in files.items():
        frame = read_frame(path)
        missing = [name for name in KEYS if name not in frame]
        if missing:
            raise DataError(f"{path}: column {', '.join(missing)} is missing. Expected {', '.join(KEYS)} in any table.")
        try:
            frame["date"] = pd.to_datetime(frame["date"])
        except (ValueError, TypeError) as error:
            raise DataError(f"{path}: column date: {error}. Expected dates such as 2024-11-29.") from None
        frames.append(frame.assign(**{SPLIT: split}))
    whole = pd.concat(frames, ignore_index=True)
    needed = [name for name in (*KEYS, RETURN, DIRECTION) if name in whole]
    known = whole[needed].notna().all(axis=1)
    if DIRECTION in whole:
        known &= whole[DIRECTION].isin([int(trend) for trend in Trend])
    if not (known & (whole[SPLIT] == "train")).any():
        raise DataError(f"{files['train']}: no row has date, ticker, return and class. Expected a labelled table.")
    named = {split: f"data.{split}={path}" for split, path in files.items()}
    return AuditTable(whole[known], horizon, frequency, named)


def source_checks(settings: DataSettings, features: Features | None = None) -> Iterator[CheckResult]:
    """The checks that need the daily sources: none for ready tables."""
    if isinstance(settings, WorldSettings):
        market, macro = draw(settings), None
    elif isinstance(settings, MarketSettings):
        market = read_market(settings)
        macro = read_frame(settings.macro, text=("series",)) if settings.macro else None
    else:
        return

    def own(sources: Market) -> pd.DataFrame:
        return feature_rows(sources, settings.frequency, settings.features)

    names = settings.files() if isinstance(settings, MarketSettings) else {}
    yield changed_by_the_future(market, features or own)
    yield odd_bars(market.bars, names.get("bars", "bars"))
    releases = macro if macro is not None else market.macro
    if releases is not None:
        yield early_releases(releases, names.get("macro", "macro"))
    if market.news is not None and len(market.news):
        yield news_of_tomorrow(market.bars, market.news, names.get("news", "news"))


def null_world(settings: DataSettings, table: AuditTable) -> CheckResult:
    """Quick models in a world without signal with the table's labels, split, span and number of tickers."""
    split = _split_by_date(settings, table)
    if split is None:
        return skipped(NULL, "not run: the split is not one by date")
    try:
        world = WorldSettings(
            source="world",
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
        rows, codes, _, _ = build_table(world)
    except SteError as error:
        return skipped(NULL, f"not run: no world could be made ({str(error).splitlines()[0]})")
    frame = rows.assign(**{SPLIT: [SPLITS[code] for code in codes]})
    return nothing_in_the_null(AuditTable(frame, settings.labels.horizon, settings.frequency))


def _split_by_date(settings: DataSettings, table: AuditTable) -> SplitSettings | None:
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
