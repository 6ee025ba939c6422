"""Rows of one split that another repeats with a little noise (jitter, rounding, oversampling before the split)."""

import numpy as np
from scipy.spatial import cKDTree

from ste.leakage.audit_table import AuditTable
from ste.leakage.check_result import Alarm, CheckResult, skipped
from ste.schema import SPLITS

CHECK = "near copies"

_NEAR = 0.01  # root mean square difference per column, in deviations
_MIN_COPIES = 5
_MIN_COLUMNS = 4
_MAX_COLUMNS = 24
_MAX_QUERIES = 20_000
_MAX_ROWS = 200_000
_FACTOR = 10.0  # near rows across splits for each near row within training


def near_copies(table: AuditTable) -> CheckResult:
    """Find rows of training whose features are those of a later row to a hundredth of a deviation.

    The same distance within training, between rows of other dates, gives the number that is normal.
    """
    own = [name for name in table.features if name not in table.shared or len(table.ticker_names) == 1]
    if len(own) < _MIN_COLUMNS or table.training.all():
        return skipped(CHECK, f"not run: needs {_MIN_COLUMNS} columns that differ between tickers, and two splits")
    values = _scaled(table, own)
    later = _sample(np.flatnonzero(~table.training), _MAX_QUERIES)
    early = _sample(np.flatnonzero(table.training), _MAX_ROWS)
    limit = _NEAR * np.sqrt(values.shape[1])
    first, second = _near(values, early, later, limit, table)
    line = f"{len(later):,} later rows; {len(first):,} have a training row within {_NEAR:g} deviations"
    if len(first) < _MIN_COPIES:
        return CheckResult(CHECK, line)
    probe = _sample(early, min(len(later), _MAX_QUERIES))
    usual = len(_near(values, early, probe, limit, table)[0]) / len(probe) * len(later)
    if len(first) < _FACTOR * max(usual, 0.5):
        return CheckResult(CHECK, f"{line}, as within training")
    return CheckResult(CHECK, line, (_alarm(table, first, second, usual),))


def _scaled(table: AuditTable, names: list[str]) -> np.ndarray:
    """Columns in deviations, of log values where they are positive and skewed, `[N, F]`; 0 where not finite."""
    values = table.frame[names[:_MAX_COLUMNS]].to_numpy(dtype=np.float64)
    values = np.where(np.isfinite(values), values, 0.0)
    skewed = (values > 0).all(axis=0) & (values.max(axis=0) > 20 * np.median(values, axis=0))
    values[:, skewed] = np.log(values[:, skewed])
    scale = values.std(axis=0)
    return (values[:, scale > 0] - values[:, scale > 0].mean(axis=0)) / scale[scale > 0]


def _sample(rows: np.ndarray, count: int) -> np.ndarray:
    return rows if len(rows) <= count else np.sort(np.random.default_rng(0).choice(rows, count, replace=False))


def _near(
    values: np.ndarray, early: np.ndarray, rows: np.ndarray, limit: float, table: AuditTable
) -> tuple[np.ndarray, np.ndarray]:
    """Rows with another of `early` within the limit, and that other; not the next or same period of a ticker."""
    tree = cKDTree(values[early])
    distance, at = tree.query(values[rows], k=2, distance_upper_bound=limit)
    first, second = [], []
    for k in range(2):
        found = np.isfinite(distance[:, k])
        a, b = rows[found], early[at[found, k]]
        apart = (table.tickers[a] != table.tickers[b]) | (np.abs(table.periods[a] - table.periods[b]) > 1)
        first.append(a[apart])
        second.append(b[apart])
    joined, index = np.unique(np.concatenate(first), return_index=True)
    return joined, np.concatenate(second)[index]


def _alarm(table: AuditTable, first: np.ndarray, second: np.ndarray, usual: float) -> Alarm:
    a, b = table.frame.iloc[second[0]], table.frame.iloc[first[0]]
    split = SPLITS[int(table.split[first[0]])]
    return Alarm(
        CHECK,
        f"{table.name_of('train')} and {table.name_of(split)}",
        f"{len(first):,} later rows have a training row within {_NEAR:g} deviations, such as "
        f"{a['ticker']} {a['date']:%Y-%m-%d} and {b['ticker']} {b['date']:%Y-%m-%d}; rows of training have "
        f"{usual:.0f} such neighbours",
        "no more near copies across splits than within training",
        "Split first and augment then: copies with noise of validation or test rows do not belong in training.",
    )
