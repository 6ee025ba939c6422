"""Settings of a seed ensemble: many replicas of a net in one run."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Lt

from ste.config.validation import NonNegativeFloat, PositiveFloat, PositiveInt, Settings
from ste.errors import ConfigError


@dataclass
class ReplicaSettings(Settings):
    """Replicas of one net, trained at once: they differ in initial weights, batch order and dropout.

    Attributes:
        replicas: number of them; replica i has the seed `seed + i`. 1 is an ordinary run.
        lr, weight_decay, dropout: a value for each replica; None is the run's own for all.
        weighting: of the replicas in the run's prediction: `uniform`, or `validation`, by their validation
            log-loss.
    """

    section: ClassVar[str] = "train"

    replicas: PositiveInt = 1
    lr: list[PositiveFloat] | None = None
    weight_decay: list[NonNegativeFloat] | None = None
    dropout: list[Annotated[float, Ge(0), Lt(1)]] | None = None
    weighting: Literal["uniform", "validation"] = "uniform"

    def check(self) -> None:
        """Check that every list has a value for each replica."""
        for name in ("lr", "weight_decay", "dropout"):
            values = getattr(self, name)
            if values is not None and len(values) != self.replicas:
                raise ConfigError(
                    f"train.{name}={values}: expected a value for each of train.replicas={self.replicas}. "
                    f"Try train.replicas={len(values)}."
                )
