"""Figures: numbers in, a matplotlib figure out, no files."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure


def confusion_figure(counts: Sequence[Sequence[int]], classes: Sequence[str], title: str) -> Figure:
    """A confusion matrix: counts, shares of each true class, and both marginals' sense in the axis names.

    Args:
        counts: `[C][C]`, true class by predicted class.
        classes: names in order.
        title: what it is of, and of how many examples.
    """
    table = np.asarray(counts, dtype=float)
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1.0)
    figure = Figure(figsize=(5.2, 4.4), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    for i in range(len(classes)):
        for j in range(len(classes)):
            axes.text(
                j,
                i,
                f"{int(table[i, j]):,}\n{shares[i, j]:.0%}",
                ha="center",
                va="center",
                color="white" if shares[i, j] > 0.55 else "#1b2a41",
            )
    axes.set_xticks(range(len(classes)), classes)
    axes.set_yticks(range(len(classes)), classes, rotation=90, va="center")
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(title, fontsize=11)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.85)
    return figure
