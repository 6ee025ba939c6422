"""Check that the members of an ensemble predict the same rows."""

from collections.abc import Mapping

import numpy as np

from ste.errors import DataError
from ste.evaluation.predictions import Predictions

_KEYS = ("date", "ticker", "split", "fold", "path")
_SAME = "Members are trained on the same data and labels."


def check_same_rows(members: Mapping[str, Predictions]) -> None:
    """Raise unless all members predict the same rows.

    Args:
        members: by the run's ID.

    Raises:
        DataError: no validation rows, or other classes, frequency, horizon, rows or labels than the first member's.
    """
    (first_id, first), *others = members.items()
    for run_id, one in members.items():
        if "validation" not in one.splits:
            raise DataError(
                f"run {run_id}: it has no validation predictions. Train it again, or leave it out of runs=."
            )
    for run_id, one in others:
        for what in ("classes", "frequency", "horizon"):
            own, expected = getattr(one, what), getattr(first, what)
            if own != expected:
                raise DataError(f"run {run_id}: its {what} is {own}, run {first_id}'s is {expected}. {_SAME}")
        for split in dict.fromkeys([*first.splits, *one.splits]):
            _check_split(split, run_id, one.slice_split(split), first_id, first.slice_split(split))


def _check_split(split: str, run_id: str, one: Predictions, first_id: str, first: Predictions) -> None:
    same = len(one) == len(first) and all((one.frame[key].array == first.frame[key].array).all() for key in _KEYS)
    if not same:
        raise DataError(
            f"run {run_id}: its {split} rows are {_row_text(one)}, run {first_id}'s are {_row_text(first)}. Runs are "
            "scored on the same rows when they have the same validation and data.history. Try data.history=N, the "
            "longest of their data.sequence_length, with each."
        )
    if not np.array_equal(one.labels, first.labels):
        raise DataError(f"run {run_id}: its {split} labels differ from run {first_id}'s. {_SAME}")


def _row_text(predictions: Predictions) -> str:
    if not len(predictions):
        return "none"
    dates = predictions.frame["date"]
    folds = predictions.frame["fold"].nunique()
    in_folds = f" in {folds} folds" if folds > 1 else ""
    return f"{len(predictions):,} from {dates.min():%Y-%m-%d} to {dates.max():%Y-%m-%d}{in_folds}"
