"""How far ahead the labels really look: the purge between splits is as long as the horizon that is declared."""

import numpy as np

from ste.leakage.audit_table import CLOSE, AuditTable
from ste.leakage.check_result import Alarm, CheckResult, skipped
from ste.schema import RETURN

CHECK = "horizon"

_LONGEST = 26  # periods ahead that a label is tried at
_CLEAR = 0.8  # share of the rows that must agree; files may round, or adjust closes on another scale


def label_horizon(table: AuditTable) -> CheckResult:
    """The horizon seen in the closes themselves against the one declared."""
    if RETURN not in table.frame or table.close is None:
        return skipped(CHECK, f"not run: the table has no {RETURN} or no {CLOSE}")
    agreement = horizon_agreement(table)
    if not agreement:
        return skipped(CHECK, "not run: no ticker has a later row")
    stated = agreement.get(table.horizon, 0.0)
    best = max(agreement, key=lambda horizon: agreement[horizon])
    if stated >= _CLEAR:
        span = table.word if table.horizon == 1 else f"{table.horizon} {table.word}s"
        return CheckResult(CHECK, f"{stated:.0%} of the returns are those of the {span} after the row, as declared")
    if agreement[best] < _CLEAR:
        note = (
            f"{RETURN} follows no horizon of the closes (best {best}: {agreement[best]:.0%}); closes that are rounded "
            "or on another scale look like this"
        )
        return CheckResult(CHECK, "could not be checked, see the note", notes=(note,), ran=False)
    return CheckResult(CHECK, "", (_alarm(table, stated, best, agreement[best]),))


def _alarm(table: AuditTable, stated: float, best: int, share: float) -> Alarm:
    if best > 0:
        seen = f"it is the return over the {best} {table.word}s ahead"
        fix = f"Try data.labels.horizon={best}, which also decides the purge."
        why = f"; the last {best} {table.word}s of a split know the next"
    else:
        seen = f"it is the return of the {table.word}s up to the row's own close"
        fix = "Give the return from this close to the next, and this row's own stock_close."
        why = "; the label is known when the row is"
    return Alarm(
        CHECK,
        RETURN,
        f"{seen} ({share:.0%} of the rows agree with their ticker's closes), and data.labels.horizon={table.horizon} "
        f"is declared ({stated:.0%} agree){why}",
        f"labels that look {table.horizon} {table.word}{'s' * (table.horizon > 1)} ahead",
        fix,
    )


def horizon_agreement(table: AuditTable) -> dict[int, float]:
    """Share of the rows whose return is that of their ticker's close so many periods ahead.

    Returns:
        By horizon; 0 stands for the trailing return up to the row's own close. Horizons with fewer than 5 rows
        are left out.
    """
    close = table.close
    assert close is not None
    out = {}
    for horizon in range(_LONGEST + 1):
        with np.errstate(divide="ignore", invalid="ignore"):
            made = table.ahead(close, horizon) / close if horizon else close / table.ahead(close, -table.horizon)
        known = np.isfinite(made) & np.isfinite(table.returns)
        if known.sum() >= 5:
            agree = np.isclose(made[known] - 1.0, table.returns[known], rtol=1e-3, atol=1e-5)
            out[horizon] = float(agree.mean())
    return out
