"""What a model ranks the rows by."""

import numpy as np

from ste.evaluation.portfolio.candidates import lean
from ste.evaluation.predictions import Predictions


def rank_scores(predictions: Predictions) -> np.ndarray:
    """Return the score of each row, float64 `[N]`: its column `score`, or P(rise) less P(fall).

    Args:
        predictions: N rows.
    """
    frame = predictions.frame
    return frame["score"].to_numpy(dtype=np.float64) if "score" in frame else lean(predictions.probs)
