"""Rows that a split shares with another: by key, by period or by content."""

from itertools import combinations

import numpy as np

from ste.leakage.audit_table import AuditTable
from ste.leakage.check_result import Alarm, CheckResult, skipped
from ste.schema import KEYS, RETURN, SPLITS

OVERLAP = "overlap"
COPIES = "copies"

_TOLERANCE = 1e-9  # relative: what a row loses in a file
_FEWEST_COPIES = 3


def overlapping_splits(table: AuditTable, *, stated: bool = False) -> CheckResult:
    """Splits that hold the same rows, the same periods, or are out of date order.

    Args:
        table: rows of every split.
        stated: the settings say that the cut goes through a period, as the seed document's does: a note.
    """
    splits = {name: table.frame[table.split == code] for code, name in enumerate(SPLITS)}
    splits = {name: rows for name, rows in splits.items() if len(rows)}
    if len(splits) < 2:
        return skipped(OVERLAP, "not run: the table has one split only")
    alarms = []
    for first, second in combinations(splits, 2):
        found = _overlap(table, first, second)
        if found:
            alarms.append(found)
    dates = ", ".join(f"{name} {d['date'].min():%Y-%m-%d} to {d['date'].max():%Y-%m-%d}" for name, d in splits.items())
    if stated:
        how = "the document's own cut, stated in data.split.by"
        notes = tuple(f"{found.where}: {found.seen}: {how}" for found in alarms)
        return CheckResult(OVERLAP, dates, notes=notes)
    return CheckResult(OVERLAP, dates, tuple(alarms))


def _overlap(table: AuditTable, first: str, second: str) -> Alarm | None:
    in_first, in_second = table.split == SPLITS.index(first), table.split == SPLITS.index(second)
    where = f"{table.name_of(first)} and {table.name_of(second)}"
    keys = [*KEYS]
    same = table.frame.loc[in_first, keys].merge(table.frame.loc[in_second, keys].drop_duplicates(), on=keys)
    weeks = np.intersect1d(table.periods[in_first], table.periods[in_second])
    expected = f"no {table.word} in two splits, and {first} wholly before {second}"
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
    """Rows of one split that return in another under another date or ticker, and tickers that are one."""
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
    if len(first) >= _FEWEST_COPIES:
        alarms.append(_copies(table, first, second))
    if RETURN in table.frame:
        alarms += _twins(table)
    line = f"{len(table.frame):,} rows and {table.tickers.max() + 1} tickers, none a copy"
    return CheckResult(COPIES, line, tuple(alarms))


def _standardised(table: AuditTable, columns: list[str]) -> np.ndarray:
    values = table.frame[columns].to_numpy(dtype=np.float64)
    values = np.where(np.isfinite(values), values, 0.0)
    scale = np.abs(values).max(axis=0)
    return values / np.where(scale > 0, scale, 1.0)


def _near_pairs(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of neighbouring rows that agree in every column: rows of equal projection lie side by side."""
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
        "no row twice: a model would be tested on what it has learnt by heart",
        f"Remove the copies from {name_a}, and look where they came in (a join, an oversampling, a filled gap).",
    )


def _twins(table: AuditTable) -> list[Alarm]:
    """Tickers whose returns are another's, at the same time or shifted."""
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
        share = count / min(sizes[one], sizes[two])
        if count < 10 or share <= 0.5:
            continue
        when = f"in the same {table.word}s" if lag == 0 else f"{abs(lag)} {table.word}s apart"
        out.append(
            Alarm(
                COPIES,
                f"tickers {names[one]} and {names[two]}",
                f"{count} returns ({share:.0%} of the shorter) are equal to the last digit, {when}",
                "tickers that differ: a copy counts every example twice, and tells across splits if shifted",
                f"Remove the rows of one of them, such as {names[two]}.",
            )
        )
    return out
