"""Models that must have no skill: on labels shuffled within weeks, and on a synthetic market without signal.

A logistic regression and a small gradient boosting are fitted to the training rows and predict the later ones. Skill
where there is none to have comes from a leak in the data or in the split.
"""

import warnings
from collections.abc import Callable, Collection, Iterator

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from ste.features.association import Association, rank_ic
from ste.leakage.audit_table import AuditTable
from ste.leakage.check_result import Alarm, CheckResult, skipped
from ste.leakage.single_columns import probes
from ste.schema import DIRECTION, RETURN

SHUFFLE = "shuffled labels"
NULL = "null market"

_MAX_IC, _MAX_IC_ERRORS = 0.04, 5.0  # IC with shuffled returns, and its distance from 0 in standard errors
_MAX_GAIN, _MAX_GAIN_ERRORS = 0.01, 4.5  # the same of the gain in accuracy over majority
_MAX_ROWS = 8_000  # training rows of a model, which bounds the time of the check
_MIN_ROWS = 60


Predict = Callable[[np.ndarray], np.ndarray]
"""Class probabilities `[N, C]` of inputs `[N, F]`, classes in ascending order."""


def inputs(table: AuditTable, without: Collection[str] = ()) -> tuple[np.ndarray, list[str]]:
    """Every form of every column, scaled by the training rows and clipped at 5 deviations.

    Args:
        table: any table.
        without: columns that are left out.

    Returns:
        float64 `[N, F]`, and the column of each.
    """
    forms = [probe for probe in probes(table) if probe.form != "itself" or not _drifts(table, probe.column)]
    forms = [probe for probe in forms if probe.column not in without]
    values = pd.DataFrame({at: probe.values for at, probe in enumerate(forms)}, index=range(len(table.frame)))
    values = values.replace([np.inf, -np.inf], np.nan)
    train = values[table.training]
    scaled = (values - train.mean()) / train.std(ddof=0).replace(0.0, 1.0)
    return scaled.clip(-5.0, 5.0).fillna(0.0).to_numpy(), [probe.column for probe in forms]


def _drifts(table: AuditTable, name: str) -> bool:
    """Whether a column is a price level, which identifies ticker and year; its ratio to the close is another form."""
    return name.startswith("stock_") and name not in ("stock_rsi", "stock_volume") and "stock_close" in table.frame


def fitted_models(x: np.ndarray, y: np.ndarray, train: np.ndarray) -> Iterator[tuple[str, Predict]]:
    """Fit both models.

    Args:
        x: inputs `[N, F]`.
        y: classes `[N]`, at least two among the training rows.
        train: bool `[N]`, training rows.
    """
    rows = np.flatnonzero(train)
    if len(rows) > _MAX_ROWS:
        rows = np.sort(np.random.default_rng(0).choice(rows, _MAX_ROWS, replace=False))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        linear = LogisticRegression(C=0.1, max_iter=100).fit(x[rows], y[rows])
    yield "logistic regression", linear.predict_proba
    trees = HistGradientBoostingClassifier(
        max_iter=60, max_leaf_nodes=15, learning_rate=0.1, early_stopping=False, random_state=0
    ).fit(x[rows], y[rows])
    yield "gradient boosting", trees.predict_proba


def purged_training(table: AuditTable) -> np.ndarray:
    """Training rows whose labels end before the first later row, bool `[N]`."""
    later = table.periods[~table.training]
    straight = table.periods[table.training].max() < later.min() if len(later) else False
    purged = table.training & (table.periods + table.horizon < later.min()) if straight else table.training
    return purged if purged.any() else table.training


def shuffled_labels(table: AuditTable, shuffles: int = 2, seed: int = 0) -> CheckResult:
    """Fit models to returns permuted within each period; they must not predict those of later rows.

    A row that is in two splits has the same permuted return in both, so that a model that memorizes it has skill.

    Args:
        table: any table with returns.
        shuffles: number of permutations.
        seed: of the permutations.
    """
    later = ~table.training
    if RETURN not in table.frame or later.sum() < _MIN_ROWS or table.training.sum() < _MIN_ROWS:
        return skipped(SHUFFLE, "not run: needs returns, and 60 rows in training and after it")
    x, train = inputs(table)[0], purged_training(table)
    rng = np.random.default_rng(seed)
    skills = []
    for _ in range(shuffles):
        returns = permuted_within(table, rng)
        medians = pd.Series(returns).groupby(table.period_codes).transform("median").to_numpy()
        up = (returns > medians).astype(np.int64)
        if len(np.unique(up[train])) < 2:
            return skipped(SHUFFLE, f"not run: one ticker per {table.word} leaves nothing to permute")
        for name, predict in fitted_models(x, up, train):
            skills.append((name, rank_ic(predict(x[later])[:, 1], returns[later], table.period_codes[later])))
    name, known = _most_significant(skills)
    line = f"{shuffles} shuffles, 2 models: largest IC {known.value:+.3f} ({known.t:+.1f} errors)"
    alarm = Alarm(
        SHUFFLE,
        f"{table.name_of('train')} and the splits after it",
        f"labels permuted within each {table.word} are predicted by a {name}: IC {known.value:+.3f}, "
        f"{known.t:.1f} errors from 0",
        "an IC of 0: a permuted label is independent of its features",
        "Look for rows that are in training and in a later split.",
    )
    return _result(line, alarm, known.value > _MAX_IC and known.t > _MAX_IC_ERRORS)


def permuted_within(table: AuditTable, rng: np.random.Generator) -> np.ndarray:
    """Permute the returns among the tickers of each period, the same for a row that is in two splits, `[N]`."""
    key = table.period_codes * (int(table.tickers.max()) + 1) + table.tickers
    unique, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    period = table.period_codes[first]
    order = np.lexsort((rng.random(len(unique)), period))  # periods stay together, tickers are shuffled
    moved = np.empty(len(unique))
    moved[np.argsort(period, kind="stable")] = table.returns[first][order]
    return moved[inverse]


def null_market_models(table: AuditTable) -> CheckResult:
    """Fit models on a synthetic market without signal; they must not be more accurate than majority.

    Args:
        table: of that market, generated and split by the audited settings.
    """
    later = ~table.training
    train = purged_training(table)
    if DIRECTION not in table.frame or later.sum() < _MIN_ROWS or train.sum() < _MIN_ROWS:
        return skipped(NULL, "not run: needs 60 rows in training and after it")
    x, y = inputs(table)[0], table.labels
    classes = np.unique(y[train])
    if len(classes) < 2:
        return skipped(NULL, "not run: the training labels are of one class")
    majority = classes[np.bincount(y[train])[classes].argmax()]
    skills = []
    for name, predict in fitted_models(x, y, train):
        hits = (classes[predict(x).argmax(axis=1)] == y).astype(float) - (y == majority)
        skills.append((name, _by_period(hits[later], table.period_codes[later], table.horizon)))
    name, gain = _most_significant(skills)
    line = f"signal 0, {later.sum():,} later rows: best gain over majority {gain.value:+.4f} ({gain.t:+.1f} errors)"
    alarm = Alarm(
        NULL,
        "the settings of data",
        f"on a market without signal a {name} beats majority by {gain.value:+.4f}, {gain.t:.1f} errors from 0",
        "no gain: the features contain no information",
        "Features, labels or the split contain the future: compare the settings with the defaults of data=world.",
    )
    return _result(line, alarm, gain.value > _MAX_GAIN and gain.t > _MAX_GAIN_ERRORS)


def _most_significant(skills: list[tuple[str, Association]]) -> tuple[str, Association]:
    """The model with the largest skill in standard errors."""
    return max(skills, key=lambda skill: skill[1].t)


def _result(line: str, alarm: Alarm, found: bool) -> CheckResult:
    return CheckResult(alarm.check, line, (alarm,) if found else ())


def _by_period(values: np.ndarray, groups: np.ndarray, overlap: int) -> Association:
    """Mean with a standard error clustered by period, since the tickers of a period move together."""
    sums, sizes = np.bincount(groups, values), np.bincount(groups)
    sums, sizes = sums[sizes > 0], sizes[sizes > 0]
    mean = float(sums.sum() / sizes.sum())
    error = float(np.sqrt(overlap * ((sums - mean * sizes) ** 2).sum()) / sizes.sum())
    return Association(mean, error if len(sizes) > 1 else np.inf, np.empty(0))
