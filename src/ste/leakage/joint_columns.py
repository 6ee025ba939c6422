"""Columns that contain the label together: none predicts alone, their sum or product does.

Two models are fitted to the training rows and predict later ones. As with a single column, predictions of the coming
return that say less than half as much about the return after it are those of a leak.
"""

from collections.abc import Collection

import numpy as np

from ste.features.association import Association, difference, predicts_too_well, rank_ic
from ste.leakage.audit_table import AuditTable
from ste.leakage.check_result import Alarm, CheckResult, skipped
from ste.leakage.null_models import Predict, fitted_models, inputs, purged_training
from ste.leakage.single_columns import single_returns
from ste.schema import RETURN

CHECK = "joint columns"

_MIN_ROWS = 200
_MIN_IC = 0.15


def joint_columns(table: AuditTable, named: Collection[str]) -> CheckResult:
    """Find sets of columns that predict the coming return of later rows too well.

    Args:
        table: any table with returns.
        named: columns of other alarms, which the models do not see.
    """
    later = ~table.training
    if RETURN not in table.frame or later.sum() < _MIN_ROWS or table.training.sum() < _MIN_ROWS:
        return skipped(CHECK, f"not run: needs returns, and {_MIN_ROWS} rows in training and after it")
    x, columns = inputs(table, without=named)
    if not columns:
        return skipped(CHECK, "not run: no column is left")
    returns = single_returns(table)
    after = table.ahead(returns, 1)
    known = np.isfinite(returns)
    train = purged_training(table) & known
    medians = np.median(returns[train])
    up = (np.where(known, returns, 0.0) > medians).astype(np.int64)
    if len(np.unique(up[train])) < 2:
        return skipped(CHECK, "not run: the returns of training are all the same")
    shown: list[str] = []
    alarms: list[Alarm] = []
    for model, predict in fitted_models(x, up, train):
        now, gap = _measured(table, predict(x)[:, 1], returns, after)
        shown.append(f"{model} {now.value:+.3f}")
        if not alarms and abs(now.value) > _MIN_IC and predicts_too_well(now, gap, "direction", shared=False):
            alarms.append(_alarm(table, model, now, _strongest(x, columns, predict, table, returns)))
    return CheckResult(CHECK, f"IC of models in later rows: {', '.join(shown)}", tuple(alarms))


def _measured(
    table: AuditTable, score: np.ndarray, returns: np.ndarray, after: np.ndarray
) -> tuple[Association, Association]:
    """IC of a score with the coming return in later rows, and its excess over that with the return after."""
    rows = ~table.training
    code = table.period_codes[rows]
    now, later = rank_ic(score[rows], returns[rows], code), rank_ic(score[rows], after[rows], code)
    return now, difference(now, later)


def _strongest(
    x: np.ndarray, columns: list[str], predict: Predict, table: AuditTable, returns: np.ndarray
) -> list[str]:
    """The two columns without which the predictions of later rows lose most, the strongest first."""
    rows = ~table.training
    part, code, target = x[rows], table.period_codes[rows], returns[rows]
    lost = {}
    order = np.random.default_rng(0).permutation(len(part))
    for name in dict.fromkeys(columns):
        own = [at for at, other in enumerate(columns) if other == name]
        shuffled = part.copy()
        shuffled[:, own] = part[order][:, own]
        lost[name] = abs(rank_ic(predict(shuffled)[:, 1], target, code).value)
    return sorted(lost, key=lambda name: lost[name])[:2]


def _alarm(table: AuditTable, model: str, now: Association, names: list[str]) -> Alarm:
    return Alarm(
        CHECK,
        " and ".join(names),
        f"together they predict: a {model} has an IC of {now.value:+.3f} with the coming {table.word} in "
        f"rows after training, {now.t:.0f} errors from 0, and less than half with the {table.word} after; without "
        "these columns it loses most",
        "an IC that fades slowly: a forecast from the past does not end with the coming period",
        f"Check how {' and '.join(names)} are computed: their sum, difference or product may contain the label.",
    )
