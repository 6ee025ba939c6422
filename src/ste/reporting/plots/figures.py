"""Functions from numbers to matplotlib figures; they write no files."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ste.reporting.plots.theme import (
    INK,
    LIMIT,
    LINE,
    LOSS,
    MINUS,
    MODEL,
    MUTED,
    dated,
    legend,
    logarithmic,
    name_rows,
    panels,
    percent,
)

BENCHMARK = "all tickers, equal weights"
"""Printed name of the benchmark of a portfolio."""


def confusion_figure(counts: Sequence[Sequence[int]], classes: Sequence[str], title: str) -> Figure:
    """Draw a confusion matrix: counts, and fractions of each true class.

    Args:
        counts: `[C][C]`, true class by predicted class.
        classes: names in order.
        title: with the split and the number of examples.
    """
    table = np.asarray(counts)
    fractions = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(4.6, 4.6))
    axes = figure.subplots()
    axes.imshow(fractions, cmap="Blues", vmin=0.0, vmax=1.0)
    for (row, column), count in np.ndenumerate(table):
        part = fractions[row, column]
        ink = "white" if part > 0.55 else INK
        axes.text(column, row, f"{count:,}\n{part:.0%}", ha="center", va="center", color=ink)
    at = range(len(classes))
    axes.set_xticks(at, classes)
    axes.set_yticks(at, classes, rotation=90, va="center")
    axes.tick_params(length=0)
    axes.set(xlabel="predicted", ylabel="true")
    axes.set_title(title, fontsize=10)
    return figure


def estimates_figure(
    names: Sequence[str], values: Sequence[float], lows: Sequence[float], highs: Sequence[float], unit: str
) -> Figure:
    """Draw a dot and its interval per row: the model first; model and `Bayes` in colours of their own.

    Args:
        names: of the model, its baselines and the Bayes optimum.
        values: fraction of each row, 0 to 1.
        lows: lower ends of the intervals; NaN where there is none.
        highs: upper ends.
        unit: label of the axis.
    """
    figure, (axes,) = panels(max(2.6, 0.75 + 0.26 * len(names)))
    rows = np.arange(len(names))
    colours = [MODEL if i == 0 else LIMIT if name == "Bayes" else MUTED for i, name in enumerate(names)]
    axes.axvspan(lows[0], highs[0], color=MODEL, alpha=0.09, linewidth=0)
    axes.hlines(rows, lows, highs, colors=colours, linewidth=1.6)
    axes.scatter(values, rows, c=colours, s=26, zorder=3)
    name_rows(axes, names)
    axes.set_xlabel(unit)
    percent(axes.xaxis)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.grid(axis="x", color=LINE, linewidth=0.6)
    return figure


def ranking_figure(
    names: Sequence[str],
    values: Sequence[float],
    lows: Sequence[float],
    highs: Sequence[float],
    baselines: Sequence[float],
    unit: str,
) -> Figure:
    """Draw a dot and its interval for each run, and a diamond for the best baseline on the same rows.

    Args:
        names: of the runs, the first on top.
        values: fraction of each run, 0 to 1.
        lows: lower ends of the intervals; NaN where there is none.
        highs: upper ends.
        baselines: value of each run's best baseline; NaN where there is none.
        unit: label of the axis.
    """
    figure, (axes,) = panels(1.0 + 0.24 * len(names))
    rows = np.arange(len(names))
    axes.hlines(rows, lows, highs, colors=MODEL, linewidth=1.6)
    axes.scatter(values, rows, c=MODEL, s=26, zorder=3, label="run, 95 % interval")
    axes.scatter(
        baselines, rows, marker="D", s=30, facecolors="none", edgecolors=LIMIT, zorder=4, label="best baseline"
    )
    name_rows(axes, names)
    axes.set_xlabel(unit)
    percent(axes.xaxis)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.grid(axis="x", color=LINE, linewidth=0.6)
    legend(figure, axes)
    return figure


def curves_figure(curves: Mapping[str, Mapping[str, Sequence[float]]], best: int | None) -> Figure:
    """Draw metrics over epochs, one panel each, with training and validation.

    Args:
        curves: values by epoch, by series, by panel: `{"loss": {"training": [...], ...}, ...}`.
        best: epoch whose weights are used, from 0.
    """
    figure, stacked = panels(0.4 + 1.25 * len(curves), len(curves))
    styles = {"training": (MUTED, (0, (4, 2))), "validation": (MODEL, "-")}
    for axes, (panel, lines) in zip(stacked, curves.items(), strict=True):
        for name, values in lines.items():
            colour, dashes = styles.get(name, (LIMIT, "-"))
            epochs = range(1, len(values) + 1)
            (line,) = axes.plot(epochs, values, color=colour, linestyle=dashes, linewidth=1.5, label=name)
            if len(values) == 1:
                line.set(marker="o", markersize=4)
        if best is not None:
            axes.axvline(best + 1, color=LIMIT, linewidth=0.9, linestyle=":", label=f"best: epoch {best + 1}")
        axes.set_ylabel(panel)
        if panel == "accuracy":
            percent(axes.yaxis)
        axes.grid(axis="y", color=LINE, linewidth=0.6)
    stacked[-1].set_xlabel("epoch")
    stacked[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    legend(figure, stacked[0])
    return figure


def reliability_figure(confidence: Sequence[float], accuracy: Sequence[float], examples: Sequence[int]) -> Figure:
    """Draw a reliability curve: accuracy against the highest probability, with the number of examples.

    Args:
        confidence: mean highest probability of each bin.
        accuracy: of the examples in each bin.
        examples: number of examples in each bin.
    """
    figure, (axes, counts) = panels(2.6, 2, ratios=(3, 1))
    ends = min(*confidence, *accuracy) - 0.02, max(*confidence, *accuracy) + 0.02
    axes.plot(ends, ends, color=MUTED, linewidth=0.9, linestyle=(0, (4, 2)), label="calibrated")
    fractions = np.asarray(examples) / max(sum(examples), 1)
    axes.plot(confidence, accuracy, color=MODEL, linewidth=1.3, label="model")
    axes.scatter(confidence, accuracy, s=12 + 160 * fractions, color=MODEL, zorder=3)
    axes.set_ylabel("accuracy")
    axes.grid(color=LINE, linewidth=0.6)
    width = 0.6 * min(np.diff(np.unique(confidence)), default=0.01)
    counts.bar(confidence, examples, width=width, color=MUTED)
    counts.set_ylabel("examples")
    counts.set_xlabel("highest probability")
    counts.yaxis.set_major_locator(MaxNLocator(2, integer=True))
    counts.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    for panel in (axes, counts):
        percent(panel.xaxis)
    percent(axes.yaxis)
    legend(figure, axes)
    return figure


def equity_figure(
    dates: Sequence[str],
    equity: Sequence[float],
    drawdown: Sequence[float],
    other: Sequence[float] = (),
    benchmark: str = BENCHMARK,
) -> Figure:
    """Draw the value of a portfolio on a logarithmic axis, next to its benchmark, and its drawdown.

    Args:
        dates: ISO, of each value.
        equity: value of 1 invested; values of 0, after a total loss, are not drawn.
        drawdown: fraction lost since the highest value so far, 0 to 1.
        other: value of 1 invested in the benchmark; empty where it is unknown.
        benchmark: its name to print.
    """
    figure, (axes, below) = panels(2.8, 2, ratios=(2, 1))
    when = np.asarray(dates, dtype="datetime64[D]")
    axes.set_yscale("log", nonpositive="mask")
    axes.axhline(1.0, color=MUTED, linewidth=0.8)
    axes.plot(when, equity, color=MODEL, linewidth=1.5, label="portfolio", zorder=3)
    if len(other):
        axes.plot(when, other, color=MUTED, linewidth=1.3, linestyle=(0, (4, 2)), label=benchmark)
    positive = [value for value in (1.0, *equity, *other) if value > 0]
    logarithmic(axes.yaxis, min(positive), max(positive))
    axes.set_ylabel("value of 1, log")
    below.fill_between(when, -np.asarray(drawdown), 0.0, color=LOSS, alpha=0.35, linewidth=0)
    below.plot(when, -np.asarray(drawdown), color=LOSS, linewidth=0.8)
    below.set_ylabel("drawdown")
    percent(below.yaxis)
    dated(axes, below)
    legend(figure, axes)
    return figure


def rolling_figure(dates: Sequence[str], values: Sequence[float], name: str) -> Figure:
    """Draw a figure of the last periods at each date.

    Args:
        dates: ISO.
        values: of the figure, one per date.
        name: label of the axis.
    """
    figure, (axes,) = panels(1.9)
    when = np.asarray(dates, dtype="datetime64[D]")
    axes.axhline(0.0, color=MUTED, linewidth=0.8)
    axes.plot(when, values, color=MODEL, linewidth=1.4)
    axes.set_ylabel(name)
    dated(axes)
    return figure


def coefficients_figure(dates: Sequence[str], values: Sequence[float], period: str) -> Figure:
    """Draw the information coefficient of each period and their cumulative sum.

    Args:
        dates: ISO, of each period.
        values: correlation of score and return over the tickers of a period, -1 to 1.
        period: `week`, `day` or `month`.
    """
    figure, (axes, summed) = panels(3.4, 2)
    when, heights = np.asarray(dates, dtype="datetime64[D]"), np.asarray(values, dtype=float)
    bars = np.stack([np.zeros_like(heights), heights, np.full_like(heights, np.nan)], axis=1).ravel()
    axes.plot(np.repeat(when, 3), bars, color=MUTED, linewidth=float(np.clip(200 / max(len(when), 1), 0.5, 3.0)))
    axes.axhline(0.0, color=MUTED, linewidth=0.8)
    axes.axhline(heights.mean(), color=MODEL, linewidth=1.2, label=f"mean {heights.mean():.3f}")
    axes.set_ylabel(f"each {period}")
    summed.plot(when, heights.cumsum(), color=MODEL, linewidth=1.4)
    summed.axhline(0.0, color=MUTED, linewidth=0.8)
    summed.set_ylabel("summed")
    dated(axes, summed)
    legend(figure, axes)
    return figure


def bars_figure(
    names: Sequence[str],
    values: Sequence[float],
    unit: str,
    lows: Sequence[float] | None = None,
    highs: Sequence[float] | None = None,
) -> Figure:
    """Draw horizontal bars with optional intervals, the first name on top.

    Args:
        names: of the bars.
        values: lengths of the bars.
        unit: label of the axis.
        lows: lower ends of the intervals.
        highs: upper ends.
    """
    figure, (axes,) = panels(0.6 + 0.21 * len(names))
    rows = np.arange(len(names))
    axes.barh(rows, values, height=0.62, color=MODEL, alpha=0.8)
    if lows is not None and highs is not None:
        axes.hlines(rows, lows, highs, color=INK, linewidth=1.0)
    axes.axvline(0.0, color=MUTED, linewidth=0.8)
    name_rows(axes, names)
    axes.set_xlabel(unit)
    axes.grid(axis="x", color=LINE, linewidth=0.6)
    return figure


def lags_figure(names: Sequence[str], by_lag: Sequence[Sequence[float]], period: str) -> Figure:
    """Draw a heat map of features by lag, darker for larger values.

    Args:
        names: of F features, the first on top.
        by_lag: not negative, `[T][F]`, oldest period first.
        period: `week`, `day` or `month`.
    """
    table = np.asarray(by_lag, dtype=float)
    shade = table / max(table.max(initial=0.0), 1e-12)
    figure, (axes,) = panels(0.6 + 0.21 * len(names))
    for (lag, row), alpha in np.ndenumerate(shade):
        axes.add_patch(
            Rectangle((lag + 0.03, row - 0.46), 0.94, 0.92, facecolor=MODEL, alpha=float(alpha), linewidth=0)
        )
    name_rows(axes, names)
    axes.set_xlim(0, len(table))
    step = max(1, len(table) // 8)
    ticks = np.arange(len(table) - 1, -1, -step)
    axes.set_xticks(ticks + 0.5, [f"{MINUS}{len(table) - 1 - t}" if t < len(table) - 1 else "last" for t in ticks])
    axes.set_xlabel(f"{period} of the window")
    return figure
