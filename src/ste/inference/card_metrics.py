"""The test metrics in a model card that monitoring compares later scores with."""

from dataclasses import asdict
from typing import Any

from ste.evaluation.predictions import Predictions
from ste.evaluation.scoring import score

COMPARED_METRICS = ("accuracy", "log_loss")
AUTO_BLOCKS = "auto_blocks"
"""Key of a split's metrics in a card: `COMPARED_METRICS` with intervals of `score(blocks="auto")`. They cover that
later periods differ from the test's. The split's own intervals do not: compared with them, a model without any fault
was called worse in about 15 % of reviews (`studies.worse`)."""


def auto_block_metrics(predictions: Predictions) -> dict[str, dict[str, Any]]:
    """Compute the metrics of one split that its card stores under `AUTO_BLOCKS`."""
    scored = score(predictions, blocks="auto")
    return {name: asdict(scored.figures[name]) for name in COMPARED_METRICS if name in scored.figures}
