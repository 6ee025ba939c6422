"""Single columns that know the label: each feature alone against the coming return.

A feature made of the past can be a strong predictor, and is then a slow one: what it says of the coming
week it says nearly as well of the week after. A leak knows exactly the weeks that it was made from. So two
things are an alarm: to tell a coming week better than any world of ours lets a feature tell it, and to tell
it well and the week after it less than half as well. Limits were set on clean worlds at signals 0 to 1 and
on real weeks (docs/audit.md): there the information coefficient (IC) reaches 0.59, and where it falls by
more than half from one week to the next it is below 0.07.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import roc_auc_score

from ste.leakage.association import Association, centred_ranks, difference, ic_of_ranks, over_time
from ste.leakage.audit_table import CLOSE, AuditTable
from ste.leakage.check_result import Alarm, CheckResult, skipped
from ste.schema import DIRECTION, RETURN, Trend

CHECK = "single columns"

CERTAIN = {"direction": 0.68, "size": 0.50}
"""A rank correlation whose lower bound (2 errors below) is past this is no forecast."""

EXCESS = 0.08
"""Correlation with the coming return beyond that with the return after it, within periods."""

EXCESS_OVER_TIME = 0.35
"""The same for columns that all tickers share, where each period is one example."""

SUDDEN = 0.5
"""Share of the correlation that must be gone one period later."""

CHANCE = 5.0
"""Errors from zero that an excess must lie: one in a million, for some 250 looks at a table."""

CREDIBLE = 0.12
"""IC beyond which real weeks have never been seen to go, an Up-or-Down AUC of about 0.57; a note."""


@dataclass(frozen=True)
class Probe:
    """A column in one form, float64 `[N]`."""

    column: str
    form: str
    values: np.ndarray


@dataclass(frozen=True)
class _Seen:
    probe: Probe
    what: str
    step: int
    now: Association  # with the return `step` periods ahead
    after: Association  # with the one after it
    excess: Association
    shared: bool

    @property
    def alarm(self) -> bool:
        surely = abs(self.now.value) - 2 * self.now.error
        certain = surely > CERTAIN[self.what] and not (self.shared and self.what == "size")
        limit = EXCESS_OVER_TIME if self.shared else EXCESS
        sudden = self.excess.value > max(limit, SUDDEN * abs(self.now.value))
        return bool(certain or (sudden and abs(self.now.value) > limit and self.excess.t > CHANCE))

    @property
    def notable(self) -> bool:
        surely = abs(self.now.value) - 3 * self.now.error
        return self.what == "direction" and self.step == 1 and surely > CREDIBLE and not self.shared


def probes(table: AuditTable) -> Iterator[Probe]:
    """Every feature as it is, its change within the ticker and, where it is a price, both over the close."""
    close = table.column(CLOSE) if CLOSE in table.frame else None
    if close is not None:
        close = np.where(close > 0, close, np.nan)  # a close that was scaled is no price to divide by
    for name in table.features:
        values = table.column(name)
        if np.nanmin(values, initial=np.inf) >= np.nanmax(values, initial=-np.inf):
            continue  # a constant tells nothing
        change = values - table.ahead(values, -1)
        yield Probe(name, "itself", values)
        yield Probe(name, "its change", change)
        if close is not None and _in_dollars(name, values, close):
            if name != CLOSE:
                yield Probe(name, "over the close", values / close)
            yield Probe(name, "its change over the close", change / close)


def _in_dollars(name: str, values: np.ndarray, close: np.ndarray) -> bool:
    if name == "stock_macd":
        return True
    priced = np.isfinite(close) & (values > 0)
    return bool(priced.mean() > 0.9 and np.median(np.abs(np.log(values[priced] / close[priced]))) < 0.5)


def known_labels(table: AuditTable, *, strict: bool = False) -> CheckResult:
    """Columns that tell the coming return too well.

    Args:
        table: any table with returns and labels.
        strict: take for an alarm what no real week has shown, though a synthetic world may.
    """
    if RETURN not in table.frame or DIRECTION not in table.frame:
        return skipped(CHECK, f"not run: the table has no {RETURN} or no {DIRECTION}")
    strongest: dict[str, _Seen] = {}
    best: _Seen | None = None
    for seen in _look(table):
        plainly = seen.what == "direction" and seen.step == 1
        if plainly and (best is None or _strength(seen) > _strength(best)):
            best = seen
        loud = seen.alarm or (strict and seen.notable)
        before = strongest.get(seen.probe.column)
        if loud and (before is None or abs(seen.now.value) > abs(before.now.value)):
            strongest[seen.probe.column] = seen
    ordered = sorted(strongest.values(), key=lambda seen: -abs(seen.now.value))
    notes = []
    if best is not None and best.notable and not ordered:
        notes.append(
            f"{best.probe.column} ({best.probe.form}) has an IC of {best.now.value:+.2f}: a synthetic world can give "
            "that, real weeks have not. On real data, say strict=true to have it called an alarm."
        )
    line = (
        "no column varies"
        if best is None
        else (
            f"{len(table.features)} columns; the best, {best.probe.column}, has an IC of {best.now.value:+.3f} "
            f"with the coming {table.word}, {best.after.value:+.3f} with the one after"
        )
    )
    return CheckResult(CHECK, line, tuple(_alarm(table, seen) for seen in ordered), tuple(notes))


def _strength(seen: _Seen) -> tuple[bool, float]:
    """Columns that differ between tickers first: over time alone, a large figure is often chance."""
    return not seen.shared, abs(seen.now.value)


def _look(table: AuditTable) -> Iterator[_Seen]:
    code = table.period_codes
    single = _single_returns(table)
    steps = {1, 2, table.horizon - 1, table.horizon} - {0}
    leads = sorted(steps | {step + 1 for step in steps})
    targets = {}
    for lead in leads:
        ahead = table.ahead(single, lead - 1)
        targets["direction", lead], targets["size", lead] = ahead, np.abs(ahead)
    ranked = {key: centred_ranks(target, code) for key, target in targets.items()}
    for probe in probes(table):
        shared = probe.column in table.shared
        if shared:
            seen = {key: over_time(probe.values, target, code) for key, target in targets.items()}
        else:
            ranks = centred_ranks(probe.values, code)
            seen = {key: ic_of_ranks(ranks, target, code) for key, target in ranked.items()}
        for what in ("direction", "size"):
            for step in sorted(steps):
                now, after = seen[what, step], seen[what, step + 1]
                yield _Seen(probe, what, step, now, after, difference(now, after), shared)


def _single_returns(table: AuditTable) -> np.ndarray:
    """Return of the one period after each row, float64 `[N]`.

    One period at a time, whatever the horizon: a forecast fades from one to the next, a leak ends where what it
    knows ends. Without closes and with a longer horizon there is only the label's own return.
    """
    close = table.close
    if table.horizon == 1 or close is None:
        return table.returns
    with np.errstate(divide="ignore", invalid="ignore"):
        return table.ahead(close, 1) / close - 1.0


def _alarm(table: AuditTable, seen: _Seen) -> Alarm:
    span = f"coming {table.word}" if seen.step == 1 else f"{table.word} {seen.step} ahead"
    target = f"return of the {span}" if seen.what == "direction" else f"size of the {span}'s move"
    way = f" (Up against Down: AUC {_auc(table, seen.probe.values):.3f})" if seen.what == "direction" else ""
    most = EXCESS_OVER_TIME if seen.shared else EXCESS
    return Alarm(
        CHECK,
        seen.probe.column,
        f"{seen.probe.form} has a rank correlation of {seen.now.value:+.3f} with the {target}{way}, "
        f"and of {seen.after.value:+.3f} with the {table.word} after that",
        f"less than {CERTAIN[seen.what]:g} and, above {most:g}, at least half as much a {table.word} later: "
        "what is made of the past fades slowly",
        f"Look at how {seen.probe.column} is made: is it shifted, centred, or made from the label? "
        "Each row may use only what was known at its close.",
    )


def _auc(table: AuditTable, values: np.ndarray) -> float:
    moved = (table.labels != Trend.NEUTRAL) & np.isfinite(values)
    up = table.labels[moved] == Trend.UPTREND
    if up.all() or not up.any():
        return 0.5
    by_period = centred_ranks(values[moved], table.period_codes[moved])
    areas = [float(roc_auc_score(up, score)) for score in (values[moved], by_period)]
    return max(max(area, 1 - area) for area in areas)
