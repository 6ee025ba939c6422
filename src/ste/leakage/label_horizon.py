"""The horizon of the labels, measured on the closes: the purge between splits relies on the configured one."""

from ste.labels.targets import horizon_agreement
from ste.leakage.audit_table import CLOSE, AuditTable
from ste.leakage.check_result import Alarm, CheckResult, skipped
from ste.schema import RETURN

CHECK = "horizon"

_MAX_HORIZON = 26  # periods ahead
_MIN_AGREEMENT = 0.8  # fraction of the rows; files may round, or adjust closes on another scale


def label_horizon(table: AuditTable) -> CheckResult:
    """Compare the horizon measured on the closes with the configured one."""
    if not table.plain_return:
        return skipped(CHECK, "not run: the labels are not of the return from close to close over the horizon")
    if RETURN not in table.frame or table.close is None:
        return skipped(CHECK, f"not run: the table has no {RETURN} or no {CLOSE}")
    horizons = (*range(1, _MAX_HORIZON + 1), -table.horizon)
    agreement = horizon_agreement(table.returns, table.close, table.tickers, table.periods, horizons)
    if not agreement:
        return skipped(CHECK, "not run: no ticker has a later row")
    stated = agreement.get(table.horizon, 0.0)
    best = max(agreement, key=lambda horizon: agreement[horizon])
    if stated >= _MIN_AGREEMENT:
        span = table.word if table.horizon == 1 else f"{table.horizon} {table.word}s"
        return CheckResult(CHECK, f"{stated:.0%} of the returns are those of the {span} after the row, as configured")
    if agreement[best] < _MIN_AGREEMENT:
        note = (
            f"{RETURN} follows no horizon of the closes (best {best}: {agreement[best]:.0%}); rounded closes, "
            "or closes on another scale, have this effect"
        )
        return CheckResult(CHECK, "could not be checked, see the note", notes=(note,), ran=False)
    return CheckResult(CHECK, "", (_alarm(table, stated, best, agreement[best]),))


def _alarm(table: AuditTable, stated: float, best: int, agreement: float) -> Alarm:
    if best > 0:
        seen = f"it is the return over the {best} {table.word}s ahead"
        fix = f"Try data.labels.horizon={best}, which also decides the purge."
        why = f"; labels of the last {best} {table.word}s of a split reach into the next split"
    else:
        seen = f"it is the return of the {table.word}s up to the row's own close"
        fix = "Give the return from this close to the next, and this row's own stock_close."
        why = "; the label is known at the row's close"
    return Alarm(
        CHECK,
        RETURN,
        f"{seen} ({agreement:.0%} of the rows agree with their ticker's closes), and "
        f"data.labels.horizon={table.horizon} is configured ({stated:.0%} agree){why}",
        f"labels that look {table.horizon} {table.word}{'s' * (table.horizon > 1)} ahead",
        fix,
    )
