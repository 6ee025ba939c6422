"""Single columns that contain the label: each feature alone against the coming return.

A feature computed from the past can predict well, and its predictions then fade slowly: it predicts the week after the
coming one nearly as well. A leak predicts exactly the weeks that it was computed from. Two findings are therefore an
alarm: a correlation with a coming week above that of any feature of a synthetic market, and a high correlation of which
less than half is left one week later. The thresholds were set on clean synthetic markets at signals 0 to 1 and on real
weeks (docs/audit.md): there the information coefficient (IC) reaches 0.59, and where it falls by more than half from
one week to the next it is below 0.07.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import roc_auc_score

from ste.features.association import (
    CERTAIN,
    EXCESS,
    EXCESS_OVER_TIME,
    Association,
    centred_ranks,
    difference,
    ic_of_ranks,
    over_time,
    predicts_too_well,
)
from ste.leakage.audit_table import CLOSE, AuditTable
from ste.leakage.check_result import Alarm, CheckResult, skipped
from ste.schema import DIRECTION, RETURN

CHECK = "single columns"

CREDIBLE = 0.12
"""Largest IC observed on real weeks, an Up-or-Down AUC of about 0.57; above it there is a note."""

_FAR = 5
"""Periods ahead that the change of a column is compared with."""


@dataclass(frozen=True)
class Probe:
    """A column in one form, float64 `[N]`."""

    column: str
    form: str
    values: np.ndarray


@dataclass(frozen=True)
class Measured:
    """Correlations of a probe with the return, or its size, `step` periods ahead and one period later."""

    probe: Probe
    what: str
    step: int
    now: Association  # with the return `step` periods ahead
    after: Association  # with the one after it
    excess: Association
    shared: bool

    @property
    def alarm(self) -> bool:
        """Whether no forecast is so good."""
        return predicts_too_well(self.now, self.excess, self.what, shared=self.shared)

    @property
    def notable(self) -> bool:
        """Whether the column predicts the coming period better than any of real weeks."""
        lower = abs(self.now.value) - 3 * self.now.error
        return self.what == "direction" and self.step == 1 and lower > CREDIBLE and not self.shared


def probes(table: AuditTable) -> Iterator[Probe]:
    """Every feature itself, its change within the ticker and, where it is a price, both relative to the close."""
    close = table.close
    if close is not None:
        close = np.where(close > 0, close, np.nan)  # a scaled close is no price
    for name in table.features:
        values = table.column(name)
        if np.nanmin(values, initial=np.inf) >= np.nanmax(values, initial=-np.inf):
            continue  # a constant
        change = values - table.ahead(values, -1)
        yield Probe(name, "itself", values)
        yield Probe(name, "its change", change)
        if close is not None and _in_dollars(name, values, close):
            if name != CLOSE:
                yield Probe(name, "over the close", values / close)
            yield Probe(name, "its change over the close", change / close)


def _in_dollars(name: str, values: np.ndarray, close: np.ndarray) -> bool:
    """Whether a column is on the scale of the close."""
    if name == "stock_macd":
        return True
    priced = np.isfinite(close) & (values > 0)
    return bool(priced.mean() > 0.9 and np.median(np.abs(np.log(values[priced] / close[priced]))) < 0.5)


def single_columns(table: AuditTable, measured: Sequence[Measured], *, strict: bool = False) -> CheckResult:
    """Find columns that predict the coming return too well.

    Args:
        table: any table with returns and labels.
        measured: its columns (`measure`).
        strict: also raise an alarm above `CREDIBLE`, which synthetic markets may reach and real weeks do not.
    """
    if RETURN not in table.frame or DIRECTION not in table.frame:
        return skipped(CHECK, f"not run: the table has no {RETURN} or no {DIRECTION}")
    headlines = [seen for seen in measured if seen.what == "direction" and seen.step == 1]
    best = max(headlines, key=_strength, default=None)
    loud = [seen for seen in measured if seen.alarm or (strict and seen.notable)]
    strongest: dict[str, Measured] = {}
    for seen in sorted(loud, key=lambda seen: -abs(seen.now.value)):
        strongest.setdefault(seen.probe.column, seen)
    notes = []
    if best is not None and best.notable and not strongest:
        notes.append(
            f"{best.probe.column} ({best.probe.form}) has an IC of {best.now.value:+.2f}: a synthetic market can reach "
            "that, real weeks have not. On real data, strict=true makes it an alarm."
        )
    line = "no column varies"
    if best is not None:
        line = (
            f"{len(table.features)} columns; the best, {best.probe.column}, has an IC of {best.now.value:+.3f} "
            f"with the coming {table.word}, {best.after.value:+.3f} with the one after"
        )
    return CheckResult(CHECK, line, tuple(_alarm(table, seen) for seen in strongest.values()), tuple(notes))


def _strength(seen: Measured) -> tuple[bool, float]:
    """Sort key: columns that differ between tickers first, since correlations over time are often chance."""
    return not seen.shared, abs(seen.now.value)


def measure(table: AuditTable) -> Iterator[Measured]:
    """Correlate every form of every column with the coming returns; nothing without returns and labels."""
    if RETURN not in table.frame or DIRECTION not in table.frame:
        return
    code = table.period_codes
    single = single_returns(table)
    near = {1, 2, table.horizon - 1, table.horizon} - {0}
    steps = near | set(range(1, _FAR + 1))
    leads = sorted(steps | {step + 1 for step in steps})
    targets = {}
    for lead in leads:
        ahead = table.ahead(single, lead - 1)
        targets["direction", lead], targets["size", lead] = ahead, np.abs(ahead)
    ranked = {key: centred_ranks(target, code) for key, target in targets.items()}
    for probe in probes(table):
        shared = probe.column in table.shared
        # A value over several coming periods fades slowly; its change ends with the last of them.
        looked = steps if "change" in probe.form and not shared else near
        if shared:
            wanted = {key: target for key, target in targets.items() if {key[1], key[1] - 1} & looked}
            seen = {key: over_time(probe.values, target, code) for key, target in wanted.items()}
        else:
            ranks = centred_ranks(probe.values, code)
            wanted = {key: target for key, target in ranked.items() if {key[1], key[1] - 1} & looked}
            seen = {key: ic_of_ranks(ranks, target, code) for key, target in wanted.items()}
        for what in ("direction", "size"):
            for step in sorted(looked):
                now, after = seen[what, step], seen[what, step + 1]
                yield Measured(probe, what, step, now, after, difference(now, after), shared)


def single_returns(table: AuditTable) -> np.ndarray:
    """Return of the one period after each row, float64 `[N]`.

    One period, whatever the horizon: a forecast fades from one period to the next, a leak ends with the data that it
    was computed from. Without closes and with a longer horizon, the label's own return is used.
    """
    close = table.close
    if table.horizon == 1 or close is None:
        return table.returns
    with np.errstate(divide="ignore", invalid="ignore"):
        return table.ahead(close, 1) / close - 1.0


def _alarm(table: AuditTable, seen: Measured) -> Alarm:
    span = f"coming {table.word}" if seen.step == 1 else f"{table.word} {seen.step} ahead"
    target = f"return of the {span}" if seen.what == "direction" else f"size of the {span}'s move"
    way = f" (Up against Down: AUC {_auc(table, seen.probe.values):.3f})" if seen.what == "direction" else ""
    max_excess = EXCESS_OVER_TIME if seen.shared else EXCESS
    return Alarm(
        CHECK,
        seen.probe.column,
        f"{seen.probe.form} has a rank correlation of {seen.now.value:+.3f} with the {target}{way}, "
        f"and of {seen.after.value:+.3f} with the {table.word} after that",
        f"less than {CERTAIN[seen.what]:g} and, above {max_excess:g}, at least half as much a {table.word} later: "
        "a forecast from the past fades slowly",
        f"Check how {seen.probe.column} is computed: is it shifted, centred, or derived from the label? "
        "Each row may use only data known at its close.",
    )


def _auc(table: AuditTable, values: np.ndarray) -> float:
    """Area under the ROC curve of Up against Down, in either direction, over all rows or within periods."""
    neutral = table.trends // 2
    moved = (table.labels != neutral) & np.isfinite(values)
    up = table.labels[moved] > neutral
    if up.all() or not up.any():
        return 0.5
    by_period = centred_ranks(values[moved], table.period_codes[moved])
    areas = [float(roc_auc_score(up, score)) for score in (values[moved], by_period)]
    return max(max(area, 1 - area) for area in areas)
