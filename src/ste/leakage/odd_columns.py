"""What no number shows: gaps that depend on the label, columns of text, and dates after the row's own."""

import re

import numpy as np
import pandas as pd
from scipy.stats import mannwhitneyu

from ste.features.association import difference, predicts_too_well, rank_ic
from ste.leakage.audit_table import SPLIT, AuditTable
from ste.leakage.check_result import Alarm, CheckResult, skipped
from ste.leakage.encoded_labels import cramers_v
from ste.leakage.single_columns import single_returns
from ste.schema import DIRECTION, KEYS, NOT_FEATURES, RETURN

CHECK = "odd columns"

_MAX_V_GAPS = 0.2  # Cramer's V of gaps and the class
_MAX_V_TEXT = 0.5
_MAX_P = 1e-9
_MAX_VALUES = 200  # of a text that is a category
_LATE = 0.05  # fraction of the rows whose date is later
_MIN_STEPS, _MIN_DOWN, _MIN_EVENTS = 100, 0.5, 20
_MIN_AREA = 0.8  # probability that the move after the last count is larger than another
_STAMP = re.compile(r"known|releas|publi|updat|as_?of|stamp|report|fetch|load|creat|time", re.IGNORECASE)


def odd_columns(table: AuditTable) -> CheckResult:
    """Find gaps and texts that depend on the class, and dates later than their row."""
    alarms, notes = [], []
    others = [str(name) for name in table.frame if name not in (*KEYS, *NOT_FEATURES, SPLIT)]
    if DIRECTION not in table.frame:
        return skipped(CHECK, f"not run: the table has no {DIRECTION}")
    for name in others:
        values = table.frame[name]
        if found := _gaps(table, name, values):
            alarms.append(found)
        if name in table.features and (found := _countdown(table, name)):
            alarms.append(found)
        if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
            continue
        dates = _dates(values)
        if dates is None:
            alarms += [found] if (found := _text(table, name, values)) else []
            continue
        late = (dates.dt.normalize() > table.frame["date"]).to_numpy()
        if late.mean() > _LATE:
            at = int(np.flatnonzero(late)[0])
            row = table.frame.iloc[at]
            seen = (
                f"{late.mean():.0%} of its dates are later than the row's, the first {row['ticker']} "
                f"{row['date']:%Y-%m-%d}: {dates.iloc[at]:%Y-%m-%d}"
            )
            if _STAMP.search(name):
                alarms.append(_late_alarm(name, seen))
            else:
                notes.append(f"{name}: {seen}. A scheduled date may be known before; a date of the record may not.")
    line = f"{len(others)} columns; gaps and texts do not depend on the class"
    return CheckResult(CHECK, line, tuple(alarms), tuple(notes))


def _gaps(table: AuditTable, name: str, values: pd.Series) -> Alarm | None:
    missing = values.isna().to_numpy()
    if missing.sum() < 30 or (~missing).sum() < 30:
        return None
    strength, p = cramers_v(missing, table.labels)
    if strength <= _MAX_V_GAPS or p >= _MAX_P:
        return None
    return Alarm(
        CHECK,
        name,
        f"its {missing.sum():,} missing values depend on the class (Cramer's V {strength:.2f}, p {p:.0e})",
        "gaps that are independent of the coming return",
        f"Find out why {name} is missing; a gap that was decided later must not be seen.",
    )


def _countdown(table: AuditTable, name: str) -> Alarm | None:
    """Alarm for a column that counts down to the period before large moves."""
    if RETURN not in table.frame or name in table.shared:
        return None
    values = table.column(name)
    steps = table.ahead(values, 1) - values
    known = np.isfinite(steps)
    if known.sum() < _MIN_STEPS or (steps[known] == -1).mean() < _MIN_DOWN or (steps[known] == -1).all():
        return None
    size = np.abs(single_returns(table))
    rows = np.isfinite(size) & np.isfinite(values)
    last = rows & (values == values[rows].min())
    if last.sum() < _MIN_EVENTS or (rows & ~last).sum() < _MIN_EVENTS:
        return None
    seen = mannwhitneyu(size[last], size[rows & ~last])
    area = float(seen.statistic) / (last.sum() * (rows & ~last).sum())
    if seen.pvalue > _MAX_P or max(area, 1 - area) < _MIN_AREA:
        return None
    return Alarm(
        CHECK,
        name,
        f"counts down in {(steps[known] == -1).mean():.0%} of its steps, and where it ends the move has a median "
        f"of {np.median(size[last]):.1%} ({np.median(size[rows & ~last]):.1%} elsewhere)",
        "a countdown to dates that are known in advance",
        f"Check which event {name} counts down to: one that shows in the prices is known only afterwards.",
    )


def _dates(values: pd.Series) -> pd.Series | None:
    """The column as dates without a time zone, or None where it holds something else."""
    if pd.api.types.is_bool_dtype(values):
        return None
    if not pd.api.types.is_datetime64_any_dtype(values):
        first = values.dropna().astype(str).head(20)
        if first.empty or not first.str.match(r"\d{4}-\d{2}-\d{2}").all():
            return None
        values = pd.to_datetime(values, errors="coerce", utc=True, format="ISO8601")
    return values.dt.tz_localize(None) if values.dt.tz is not None else values


def _text(table: AuditTable, name: str, values: pd.Series) -> Alarm | None:
    """Alarm for a text that nearly determines the class, or that predicts one period and not the next."""
    code, distinct = pd.factorize(values)
    if not 2 <= len(distinct) <= _MAX_VALUES:
        return None
    strength, p = cramers_v(code, table.labels)
    if strength > _MAX_V_TEXT and p < _MAX_P:
        seen = f"its {len(distinct)} texts depend on the class (Cramer's V {strength:.2f})"
    elif RETURN in table.frame and (ic := _predicts(table, code)) is not None:
        seen = f"its {len(distinct)} texts, by their mean return in training, have an IC of {ic:+.3f} in later rows"
    else:
        return None
    return Alarm(
        CHECK,
        name,
        seen,
        "texts that say little about the coming return, or as much about the one after",
        f"Check when {name} is known: a rating or a regime must be that of the row's close.",
    )


def _predicts(table: AuditTable, code: np.ndarray) -> float | None:
    """IC in the rows after training of each text's mean return in training, where no forecast is so good."""
    returns, train = single_returns(table), table.training
    if train.all():
        return None
    means = pd.Series(returns[train]).groupby(code[train]).mean()
    score = np.where(train, np.nan, means.reindex(code).to_numpy())
    now = rank_ic(score, returns, table.period_codes)
    after = rank_ic(score, table.ahead(returns, 1), table.period_codes)
    return now.value if predicts_too_well(now, difference(now, after), "direction", shared=False) else None


def _late_alarm(name: str, seen: str) -> Alarm:
    return Alarm(
        CHECK,
        name,
        seen,
        "a record that was known at the row's close",
        f"Join by {name}: give each row the last record that was known at its close.",
    )
