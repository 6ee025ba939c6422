"""Baselines: simple estimators that every model is compared with, and that can be trained by themselves.

`python -m ste.train model=logistic` trains one. A baseline is a class with the methods of `base.Baseline`, registered
with `@BASELINES.register`, and a file in `conf/model/` that names the class and its arguments.
"""

from collections.abc import Callable

from ste.baselines.base import Baseline
from ste.baselines.boosting import GradientBoosting
from ste.baselines.linear import Logistic, Volatility
from ste.baselines.naive import Majority, Persistence

__all__ = ["GradientBoosting", "Logistic", "Majority", "Persistence", "Volatility"]

REFERENCE_BASELINES: dict[str, Callable[[], Baseline]] = {
    "majority": Majority,
    "persistence": Persistence,
    "volatility": Volatility,
    "linear": Logistic,
}
"""Baselines that every model is compared with, by the name of their row in tables and their column prefix."""
