"""Folds of a panel's periods: walk-forward and combinatorial purged cross-validation."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, comb

import numpy as np

from ste.config import ValidationSettings
from ste.data.panel import HISTORY, Panel
from ste.errors import ConfigError, DataError
from ste.schema import PERIOD

FIRST_TRAIN = 0.4
"""Fraction of the periods before the first test, where no date is given."""


@dataclass(frozen=True)
class Fold:
    """One fold.

    Attributes:
        number: from 0.
        row_split: split of each row, int8 `[N]`, for `Panel.with_row_split`.
        path: backtest path of each tested row, int16 `[N]`; 0 in a walk-forward.
    """

    number: int
    row_split: np.ndarray
    path: np.ndarray


def folds(panel: Panel, settings: ValidationSettings) -> list[Fold]:
    """Return the folds of `walk_forward` or `combinatorial` cross-validation.

    At least the horizon's periods are purged between training and validation and between training and test; the
    embargo is added before and after a test. No setting lowers the purge.

    Args:
        panel: the rows.
        settings: of the validation.

    Raises:
        DataError: too few periods.
        ConfigError: too many combinations.
    """
    known, number = np.unique(panel.store.period, return_inverse=True)
    horizon = panel.settings.labels.horizon
    purge = max(panel.settings.split.purged_periods(horizon), horizon)
    if settings.method == "walk_forward":
        cuts = list(_walk_forward(panel, len(known), number, purge + settings.embargo, settings))
    else:
        cuts = list(_combinatorial(panel, len(known), purge, settings))
    out = []
    for i, (train, tests) in enumerate(cuts):
        split = np.full(len(known), HISTORY, dtype=np.int8)
        path = np.zeros(len(known), dtype=np.int16)
        split[train] = 0
        first = train[len(train) - ceil(len(train) * settings.fraction)]
        split[train[train >= first]] = 1
        split[train[(train >= first - purge) & (train < first)]] = HISTORY
        for periods, path_number in tests:
            split[periods], path[periods] = 2, path_number
        for code, name in enumerate(("training", "validation", "test")):
            if not (split == code).any():
                raise _too_few(panel, len(known), f"fold {i} would have no {name} period")
        row_split = np.where(panel.store.columns.history_only, HISTORY, split[number]).astype(np.int8)
        out.append(Fold(i, row_split, path[number]))
    return out


def max_fold_examples(cuts: list[Fold], max_examples: int | None) -> int | None:
    """Return how many examples of a split each fold may score, given the maximum of all folds together.

    Args:
        cuts: the folds.
        max_examples: of all folds; None is no limit.

    Returns:
        None where no fold needs a limit.
    """
    if max_examples is None:
        return None
    if all(sum(int((cut.row_split == code).sum()) for cut in cuts) <= max_examples for code in (1, 2)):
        return None
    return max(1, max_examples // len(cuts))


def _walk_forward(
    panel: Panel, n: int, number: np.ndarray, purge: int, settings: ValidationSettings
) -> Iterator[tuple[np.ndarray, list[tuple[np.ndarray, int]]]]:
    if settings.test_start is None:
        first = int(n * FIRST_TRAIN)
    else:
        early = panel.store.columns.day < np.datetime64(settings.test_start, "D").astype(np.int64)
        first = int(number[early].max()) + 1 if early.any() else 0
    if n - first < settings.folds or first <= purge:
        raise _too_few(panel, n, f"{n - first} of them are to be tested in {settings.folds} folds")
    max_periods = settings.train_periods or first if settings.window == "rolling" else n
    for test in np.array_split(np.arange(first, n), settings.folds):
        end = test[0] - purge
        yield np.arange(max(0, end - max_periods), end), [(test, 0)]


def _combinatorial(
    panel: Panel, n: int, purge: int, settings: ValidationSettings
) -> Iterator[tuple[np.ndarray, list[tuple[np.ndarray, int]]]]:
    from skfolio.model_selection import CombinatorialPurgedCV  # half a second

    size, embargo = n // settings.folds, settings.embargo
    if purge + embargo >= size - 1:  # required by skfolio
        raise _too_few(panel, n, f"a fold of {size} is too short for a purge of {purge} and an embargo of {embargo}")
    try:
        splitter = CombinatorialPurgedCV(settings.folds, settings.test_folds, purge, embargo)
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
