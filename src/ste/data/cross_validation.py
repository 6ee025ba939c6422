"""Cuts of a panel's periods into folds: walk-forward and combinatorial purged cross-validation."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, comb

import numpy as np

from ste.config import ValidationSettings
from ste.data.panel import HISTORY, Panel
from ste.errors import ConfigError, DataError
from ste.schema import PERIOD

FIRST_TRAIN = 0.4
"""Share of the periods before the first test, where no date says."""


@dataclass(frozen=True)
class Fold:
    """One cut.

    Attributes:
        number: from 0.
        roles: int8 `[N]` for `Panel.with_roles`.
        path: int16 `[N]`, which backtest path a tested row belongs to; 0 in a walk-forward.
    """

    number: int
    roles: np.ndarray
    path: np.ndarray


def folds(panel: Panel, settings: ValidationSettings) -> list[Fold]:
    """The folds of `walk_forward` or `combinatorial`.

    Between what is learnt from and what validates or tests it lie the horizon's periods, and before or
    after a test the embargo as well, whatever the settings say.

    Raises:
        DataError: too few periods.
        ConfigError: too many combinations.
    """
    known, number = np.unique(panel.store.period, return_inverse=True)
    horizon = panel.settings.labels.horizon
    gap = max(panel.settings.split.gap(horizon), horizon)
    if settings.method == "walk_forward":
        cuts = list(_walk_forward(panel, len(known), number, gap + settings.embargo, settings))
    else:
        cuts = list(_combinatorial(panel, len(known), gap, settings))
    out = []
    for i, (train, tests) in enumerate(cuts):
        role = np.full(len(known), HISTORY, dtype=np.int8)
        path = np.zeros(len(known), dtype=np.int16)
        role[train] = 0
        first = train[len(train) - ceil(len(train) * settings.share)]
        role[train[train >= first]] = 1
        role[train[(train >= first - gap) & (train < first)]] = HISTORY
        for periods, path_number in tests:
            role[periods], path[periods] = 2, path_number
        for code, name in enumerate(("training", "validation", "test")):
            if not (role == code).any():
                raise _too_few(panel, len(known), f"fold {i} would have no {name} period")
        out.append(Fold(i, role[number], path[number]))
    return out


def most_of_fold(cuts: list[Fold], most: int | None) -> int | None:
    """Examples of a split that each fold may score, so that all folds together score at most that many.

    Args:
        cuts: all of them.
        most: of all folds; None is no limit.

    Returns:
        None where all of them hold no more than that.
    """
    if most is None or all(sum(int((cut.roles == role).sum()) for cut in cuts) <= most for role in (1, 2)):
        return None
    return max(1, most // len(cuts))


def _walk_forward(
    panel: Panel, n: int, number: np.ndarray, gap: int, settings: ValidationSettings
) -> Iterator[tuple[np.ndarray, list[tuple[np.ndarray, int]]]]:
    if settings.test_start is None:
        first = int(n * FIRST_TRAIN)
    else:
        early = panel.store.columns.day < np.datetime64(settings.test_start, "D").astype(np.int64)
        first = int(number[early].max()) + 1 if early.any() else 0
    if n - first < settings.folds or first <= gap:
        raise _too_few(panel, n, f"{n - first} of them are to be tested in {settings.folds} folds")
    longest = settings.train_periods or first if settings.window == "rolling" else n
    for test in np.array_split(np.arange(first, n), settings.folds):
        end = test[0] - gap
        yield np.arange(max(0, end - longest), end), [(test, 0)]


def _combinatorial(
    panel: Panel, n: int, gap: int, settings: ValidationSettings
) -> Iterator[tuple[np.ndarray, list[tuple[np.ndarray, int]]]]:
    from skfolio.model_selection import CombinatorialPurgedCV  # half a second

    size, embargo = n // settings.folds, settings.embargo
    if gap + embargo >= size - 1:  # as skfolio asks
        raise _too_few(panel, n, f"a fold of {size} is too short for a purge of {gap} and an embargo of {embargo}")
    try:
        splitter = CombinatorialPurgedCV(settings.folds, settings.test_folds, gap, embargo)
    except ValueError:
        raise ConfigError(
            f"validation.test_folds={settings.test_folds}: {comb(settings.folds, settings.test_folds):,} combinations "
            f"of {settings.folds} folds are too many to fit a model on each. Try validation.test_folds=2."
        ) from None
    paths = splitter.get_path_ids()
    for (train, tests), ids in zip(splitter.split(np.zeros((n, 1))), paths, strict=True):
        yield train, [(test, int(path)) for test, path in zip(tests, ids, strict=True)]


def _too_few(panel: Panel, n: int, why: str) -> DataError:
    word = PERIOD[panel.settings.frequency]
    return DataError(
        f"validation: the tables have {n} {word}s, and {why}. Try a smaller validation.folds, another "
        "validation.test_start, more validation.train_periods of a rolling window, or longer tables."
    )
