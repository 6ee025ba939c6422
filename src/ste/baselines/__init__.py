"""What a net must beat, and can be run beside it: `python -m ste.train model=logistic`.

A baseline is a class here and a file in `conf/model/` that names it. It is fitted on examples
(`examples.Examples`), gives probabilities, and its state is plain: tensors, numbers and text.
"""

from collections.abc import Callable

from ste.baselines.boosting import GradientBoosting
from ste.baselines.examples import Baseline
from ste.baselines.logistic import Logistic, Volatility
from ste.baselines.naive import Majority, Persistence

__all__ = ["GradientBoosting", "Logistic", "Majority", "Persistence", "Volatility"]

COMPANY: dict[str, Callable[[], Baseline]] = {
    "majority": Majority,
    "persistence": Persistence,
    "volatility": Volatility,
    "linear": Logistic,
}
"""The baselines that stand beside every score, by the name of their row."""
