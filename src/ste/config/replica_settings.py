"""Settings of many replicas of a net in one run."""

from dataclasses import dataclass
from math import inf

from ste.config.validation import choice, require
from ste.errors import ConfigError


@dataclass
class ReplicaSettings:
    """Replicas of one net, trained at once: they differ in initial weights, batch order and dropout.

    Attributes:
        replicas: how many; number i is the run of `seed + i`. 1 is an ordinary run.
        lr, weight_decay, dropout: a value for each replica; None is the run's own for all.
        weighting: of the replicas in the run's prediction: `uniform`, or `validation`, by their validation
            log-loss.
    """

    replicas: int = 1
    lr: list[float] | None = None
    weight_decay: list[float] | None = None
    dropout: list[float] | None = None
    weighting: str = "uniform"

    def __post_init__(self) -> None:
        require(self, "train.replicas", self.replicas >= 1, "1 or more")
        choice(self, "train.weighting", ("uniform", "validation"))
        for name in ("lr", "weight_decay", "dropout"):
            self._check_length(name)
        require(self, "train.lr", all(0 < value < inf for value in self.lr or ()), "finite numbers above 0")
        positive = all(0 <= value < inf for value in self.weight_decay or ())
        require(self, "train.weight_decay", positive, "finite numbers, 0 or more")
        require(self, "train.dropout", all(0 <= value < 1 for value in self.dropout or ()), "numbers in [0, 1)")

    def _check_length(self, name: str) -> None:
        values = getattr(self, name)
        if values is None:
            return
        if self.replicas == 1:
            raise ConfigError(
                f"train.{name}={values}: expected train.replicas beside it. Try train.replicas={len(values)}."
            )
        if len(values) != self.replicas:
            raise ConfigError(
                f"train.{name}={values}: expected {self.replicas} values, one for each of train.replicas, "
                f"not {len(values)}. Try train.replicas={len(values)}."
            )
