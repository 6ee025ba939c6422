"""Rows that two splits share: by key, by period or by content."""

from collections.abc import Iterator
from itertools import combinations, pairwise

import numpy as np

from ste.leakage.audit_table import AuditTable
from ste.leakage.check_result import Alarm, CheckResult, skipped
from ste.schema import KEYS, RETURN, SPLITS

OVERLAP = "overlap"
COPIES = "copies"

_TOLERANCE = 1e-9  # relative, of a value that was written to a file and read again
_MIN_COPIES = 3


def overlapping_splits(table: AuditTable, *, stated: bool = False) -> CheckResult:
    """Find splits that share rows or periods, or that are not in date order.

    Args:
        table: rows of every split.
        stated: the settings split by row (`data.split.by=row`), so that an overlap is a note and no alarm.
    """
    splits = {name: table.frame[table.split == code] for code, name in enumerate(SPLITS)}
    splits = {name: rows for name, rows in splits.items() if len(rows)}
    if len(splits) < 2:
        return skipped(OVERLAP, "not run: the table has only one split")
    alarms = [found for pair in combinations(splits, 2) if (found := _overlap(table, *pair))]
    dates = ", ".join(f"{name} {d['date'].min():%Y-%m-%d} to {d['date'].max():%Y-%m-%d}" for name, d in splits.items())
    if stated:
        how = "data.split.by=row splits within a period"
        notes = tuple(f"{found.where}: {found.seen}: {how}" for found in alarms)
        return CheckResult(OVERLAP, dates, notes=notes)
    return CheckResult(OVERLAP, dates, tuple(alarms), () if alarms else tuple(_unpurged(table, list(splits))))


def _unpurged(table: AuditTable, names: list[str]) -> Iterator[str]:
    """Notes on splits whose labels reach into the next one; `ste.train` leaves those rows out (`data.split.purge`)."""
    for first, second in pairwise(names):
        last = table.periods[table.split == SPLITS.index(first)]
        start = table.periods[table.split == SPLITS.index(second)].min()
        reach = int((last + table.horizon > start).sum())
        if reach:
            yield (
                f"{table.name_of(first)}: the labels of its last {reach:,} rows end after the first row of "
                f"{table.name_of(second)}. ste.train leaves such rows out; another program must (a purge of "
                f"{table.horizon} {table.word}s)."
            )


def _overlap(table: AuditTable, first: str, second: str) -> Alarm | None:
    in_first, in_second = table.split == SPLITS.index(first), table.split == SPLITS.index(second)
    where = f"{table.name_of(first)} and {table.name_of(second)}"
    keys = [*KEYS]
    same = table.frame.loc[in_first, keys].merge(table.frame.loc[in_second, keys].drop_duplicates(), on=keys)
    weeks = np.intersect1d(table.periods[in_first], table.periods[in_second])
    expected = f"no {table.word} in two splits, and all of {first} before {second}"
    fix = "Split by date: data=world and data=market do, with data.split.validation_start and data.split.test_start."
    if len(same):
        row = same.iloc[0]
        seen = f"{len(same)} rows are in both, the first {row['ticker']} {row['date']:%Y-%m-%d}"
    elif len(weeks):
        seen = f"{len(weeks)} {table.word}s are in both; tickers of one {table.word} move together"
    elif table.periods[in_first].max() > table.periods[in_second].min():
        late = int((table.periods[in_first] > table.periods[in_second].min()).sum())
        seen = f"{late} rows of {first} are later than the first of {second}"
    else:
        return None
    return Alarm(OVERLAP, where, seen, expected, fix)


def copied_rows(table: AuditTable) -> CheckResult:
    """Find rows of one split that another repeats under another date or ticker, and tickers that are copies."""
    alone = len(np.unique(table.tickers)) == 1
    own = [name for name in table.features if alone or name not in table.shared]
    if len(own) < 3:
        return skipped(COPIES, "not run: fewer than 3 columns that differ between tickers")
    first, second = _near_pairs(_standardised(table, own))
    other = (table.split[first] != table.split[second]) & (
        (table.periods[first] != table.periods[second]) | (table.tickers[first] != table.tickers[second])
    )
    first, second = first[other], second[other]
    alarms = []
    if len(first) >= _MIN_COPIES:
        alarms.append(_copies(table, first, second))
    if RETURN in table.frame:
        alarms += _twins(table)
    line = f"{len(table.frame):,} rows and {table.tickers.max() + 1} tickers without copies"
    return CheckResult(COPIES, line, tuple(alarms))


def _standardised(table: AuditTable, columns: list[str]) -> np.ndarray:
    """Columns divided by their largest absolute value, `[N, F]`; 0 where not finite."""
    values = table.frame[columns].to_numpy(dtype=np.float64)
    values = np.where(np.isfinite(values), values, 0.0)
    scale = np.abs(values).max(axis=0)
    return values / np.where(scale > 0, scale, 1.0)


def _near_pairs(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of rows that agree in every column: equal rows have equal projections, so that sorting finds them."""
    direction = np.random.default_rng(0).uniform(0.5, 1.5, values.shape[1])
    order = np.argsort(values @ direction, kind="stable")
    a, b = order[:-1], order[1:]
    agree = (np.abs(values[a] - values[b]) <= _TOLERANCE).all(axis=1)
    return a[agree], b[agree]


def _copies(table: AuditTable, first: np.ndarray, second: np.ndarray) -> Alarm:
    early = np.where(table.split[first] <= table.split[second], first, second)
    late = np.where(table.split[first] <= table.split[second], second, first)
    a, b = table.frame.iloc[early[0]], table.frame.iloc[late[0]]
    name_a, name_b = (table.name_of(row["split"]) for row in (a, b))
    return Alarm(
        COPIES,
        f"{name_a} and {name_b}",
        f"{len(early)} rows have the same features under another date or ticker, such as {a['ticker']} "
        f"{a['date']:%Y-%m-%d} in {a['split']} and {b['ticker']} {b['date']:%Y-%m-%d} in {b['split']}",
        "no copies: a model would be tested on rows that it has memorized",
        f"Remove the copies from {name_a}, and find their origin (a join, oversampling, a filled gap).",
    )


def _twins(table: AuditTable) -> list[Alarm]:
    """Alarms for tickers whose returns equal another's, at the same time or shifted."""
    returns = table.returns
    rows = np.flatnonzero(np.isfinite(returns) & (np.abs(returns) > 1e-6))
    if len(rows) < 2:
        return []
    order = rows[np.lexsort((table.tickers[rows], returns[rows]))]
    a, b = order[:-1], order[1:]
    equal = (np.abs(returns[a] - returns[b]) <= _TOLERANCE) & (table.tickers[a] != table.tickers[b])
    if not equal.any():
        return []
    a, b = a[equal], b[equal]
    swap = table.tickers[a] > table.tickers[b]
    a, b = np.where(swap, b, a), np.where(swap, a, b)
    pairs, counts = np.unique(
        np.stack([table.tickers[a], table.tickers[b], table.periods[b] - table.periods[a]]), axis=1, return_counts=True
    )
    sizes = np.bincount(table.tickers)
    names = table.frame["ticker"].to_numpy()[np.unique(table.tickers, return_index=True)[1]]
    out = []
    for one, two, lag, count in zip(*pairs, counts, strict=True):
        fraction = count / min(sizes[one], sizes[two])
        if count < 10 or fraction <= 0.5:
            continue
        when = f"in the same {table.word}s" if lag == 0 else f"{abs(lag)} {table.word}s apart"
        out.append(
            Alarm(
                COPIES,
                f"tickers {names[one]} and {names[two]}",
                f"{count} returns ({fraction:.0%} of the shorter) are equal to the last digit, {when}",
                "different tickers: a copy counts every example twice, and leaks across splits if shifted",
                f"Remove the rows of one of them, such as {names[two]}.",
            )
        )
    return out
