"""Calibrate a fitted net on its validation rows; the temperature becomes a part of its checkpoint."""

import numpy as np
import torch

from ste.data.datamodule import TrendDataModule
from ste.data.storage.files import atomic_file
from ste.errors import DataError
from ste.evaluation.bootstrap import MIN_PERIODS
from ste.evaluation.temperature import choose_temperature
from ste.experiment.prediction import predict_logits
from ste.schema import PERIOD
from ste.training.fit import Fitted
from ste.training.module import TrendModule


def can_calibrate(data: TrendDataModule, method: str) -> bool:
    """Return whether a temperature can be fitted as set, before the net is.

    Args:
        data: with the validation examples.
        method: `none`; `temperature`; or `auto`, a temperature where it helps.

    Raises:
        DataError: `temperature` with too few validation periods.
    """
    found, expected = len(np.unique(_periods(data))), MIN_PERIODS * data.settings.labels.horizon
    if method == "temperature" and found < expected:
        raise DataError(
            f"calibration=temperature: it is fitted on validation rows, which are of {found} "
            f"{PERIOD[data.settings.frequency]}s. Expected {expected} or more. Try calibration=none."
        )
    return method != "none" and found >= expected


def calibrate(fitted: Fitted, data: TrendDataModule, method: str) -> None:
    """Fit the temperature of a net on the scored validation examples, and save it where it is used.

    Args:
        fitted: a net at its best epoch; a baseline is left as it is.
        data: that it was fitted on.
        method: `auto`, `none` or `temperature`, see `can_calibrate`.

    """
    module = fitted.model
    if not isinstance(module, TrendModule) or not can_calibrate(data, method):
        return
    saved = float(module.temperature)  # not 1 where a run resumes after its calibration
    module.set_calibration(None)
    logits = predict_logits(module, data, "validation").astype(np.float64)
    labels, horizon = data.scored["validation"].labels.numpy(), data.settings.labels.horizon
    found = choose_temperature(logits, labels, _periods(data), horizon, only_if_better=method == "auto")
    module.set_calibration(found)
    if found is None and saved == 1.0:
        return
    content = torch.load(fitted.checkpoint, map_location="cpu", weights_only=True)
    content["state_dict"]["temperature"] = module.temperature
    content["calibration"] = None if module.calibration is None else module.calibration.to_dict()
    with atomic_file(fitted.checkpoint) as partial:
        torch.save(content, partial)


def _periods(data: TrendDataModule) -> np.ndarray:
    """Number of the period of each scored validation example."""
    return data.panel.store.period[data.scored["validation"].ends.numpy()]
