"""The charts of a report, as inline SVG by name; charts without data are omitted."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from ste.evaluation.information_coefficient import coefficient_series
from ste.evaluation.portfolio.portfolio_record import Portfolio
from ste.evaluation.predictions import Predictions
from ste.evaluation.rank_scores import rank_scores
from ste.evaluation.scorecard import Scorecard
from ste.evaluation.scored_rows import ScoredRows
from ste.reporting.formatting import number, who
from ste.reporting.html.report_data import ReportData
from ste.reporting.html.tear_sheet import rolling_sharpe
from ste.reporting.plots import figures as plots
from ste.reporting.plots.theme import svg

_SERIES = {"train": "training", "val": "validation"}
_MAX_BARS = 8  # of features; the table has all
_MAX_ROWS = 40  # of the attribution
_MIN_IN_BIN = 10


def figures(report: ReportData, main: str) -> dict[str, Markup]:
    """Draw every chart that the run has data for.

    Args:
        report: the run.
        main: the split that comes first.
    """
    out = {"accuracy": _accuracy(report.scores[main], report.model, main)}
    panels = _curves(report.history)
    if panels:
        last = "; ".join(
            f"validation {name} {p['validation'][-1]:.4f}" for name, p in panels.items() if "validation" in p
        )
        text = f"Training and validation figures over {len(report.history)} epochs. At the last: {last}."
        out["curves"] = _draw(plots.curves_figure(panels, report.best_epoch), "curves", text)
    for split, score in report.held_out.items():
        if score.reliability:
            out[f"reliability-{split}"] = _reliability(score, split)
        if score.portfolio is not None and score.portfolio.equity:
            out[f"equity-{split}"] = _equity(score.portfolio, split)
            rolling = _rolling_sharpe(score.portfolio, split)
            out |= {f"rolling-sharpe-{split}": rolling} if rolling is not None else {}
        drawn = _coefficients(report.predictions, split)
        if drawn is not None:
            out[f"ic-{split}"] = drawn
    return out | _importance(report)


def second_chart(report: ReportData, main: str, drawn: Mapping[str, Markup]) -> tuple[str, str] | None:
    """Name and caption of the chart next to the accuracies at the top of the page; None where there is none.

    It is the portfolio of a real market, else the training curves, else the calibration.

    Args:
        report: the run.
        main: the split that comes first.
        drawn: names of the charts that there are.
    """
    captions = {
        f"equity-{main}": f"Value of 1 invested on {main}, after costs, and its benchmark, before costs",
        "curves": "Metrics over the epochs of training",
        f"reliability-{main}": f"Calibration on {main}: accuracy by highest probability",
    }
    if report.synthetic:
        del captions[f"equity-{main}"]
    return next(((name, caption) for name, caption in captions.items() if name in drawn), None)


def _draw(figure: Figure, name: str, text: str) -> Markup:
    return Markup(svg(figure, "".join(c if c.isalnum() else "-" for c in name), text))  # svg() escapes


def _accuracy(score: Scorecard, model: str, split: str) -> Markup:
    everyone = {"": score.figures, **score.baselines}
    names = [name for name, row in everyone.items() if "accuracy" in row]
    shown, nothing = [everyone[name]["accuracy"] for name in names], float("nan")
    names = [who(name, model) for name in names]  # a model may be named as its baseline
    figure = plots.estimates_figure(
        names,
        [e.value for e in shown],
        [nothing if e.low is None else e.low for e in shown],
        [nothing if e.high is None else e.high for e in shown],
        f"accuracy on {split}, 95 % interval",
    )
    text = ", ".join(f"{name} {number(e.value, 'accuracy')}" for name, e in zip(names, shown, strict=True))
    return _draw(figure, "accuracy", f"Accuracy on the {split} split: {text}.")


def _curves(history: Sequence[Mapping[str, float]]) -> dict[str, dict[str, list[float]]]:
    """Series by panel; a missing value is a gap."""
    panels: dict[str, dict[str, list[float]]] = {}
    for panel in ("loss", "accuracy"):
        for prefix, series in _SERIES.items():
            values = [epoch.get(f"{prefix}/{panel}", float("nan")) for epoch in history]
            if np.isfinite(values).any():
                panels.setdefault(panel, {})[series] = values
    return panels


def _reliability(score: Scorecard, split: str) -> Markup:
    bins = [b for b in score.reliability if b.examples >= _MIN_IN_BIN] or score.reliability
    figure = plots.reliability_figure(
        [b.confidence for b in bins], [b.accuracy for b in bins], [b.examples for b in bins]
    )
    text = "; ".join(f"{b.confidence:.0%} sure, {b.accuracy:.0%} right of {b.examples:,}" for b in bins)
    return _draw(figure, f"reliability-{split}", f"Reliability on the {split} split: {text}.")


def _equity(portfolio: Portfolio, split: str) -> Markup:
    benchmark = Path(portfolio.benchmark_file).name if portfolio.benchmark_file else plots.BENCHMARK
    text = (
        f"Value of 1 invested on {portfolio.dates[0]}, {split} split: {portfolio.equity[-1]:.3f} after "
        f"{len(portfolio.dates)} holding periods, largest drawdown {100 * max(portfolio.drawdown):.1f} %."
    )
    if portfolio.benchmark:
        text += f" Benchmark, {benchmark}: {portfolio.benchmark[-1]:.3f}."
    figure = plots.equity_figure(
        portfolio.dates, portfolio.equity, portfolio.drawdown, portfolio.benchmark, benchmark=benchmark
    )
    return _draw(figure, f"equity-{split}", text)


def _rolling_sharpe(portfolio: Portfolio, split: str) -> Markup | None:
    """Chart of the rolling Sharpe ratio; None with too few entries."""
    dates, values, window = rolling_sharpe(portfolio)
    if not dates:
        return None
    text = f"Sharpe ratio of the last {window} holding periods on the {split} split: {values[-1]:.2f} at the end."
    return _draw(plots.rolling_figure(dates, values, "Sharpe ratio"), f"rolling-sharpe-{split}", text)


def _coefficients(predictions: Predictions | None, split: str) -> Markup | None:
    """Chart of the rank IC of each period; the mean of several paths."""
    if predictions is None or split not in predictions.splits:
        return None
    predictions = predictions.slice_split(split)
    rows = ScoredRows.from_predictions(predictions)
    known = np.isfinite(rows.returns)
    score = rank_scores(predictions)[rows.order][known]
    series = coefficient_series(
        score, rows.returns[known], rows.period[known], rows.path[known], rows.periods, ranked=True
    )
    there = np.flatnonzero(np.isfinite(series))
    if not len(there):
        return None
    days, series = [rows.dates[i] for i in there], series[there]
    text = f"Rank information coefficient of {len(series)} periods on the {split} split: mean {series.mean():.4f}."
    return _draw(plots.coefficients_figure(days, series.tolist(), predictions.row_periods.word), f"ic-{split}", text)


def _importance(report: ReportData) -> dict[str, Markup]:
    out = {}
    for kind, name in (("group", "groups"), ("feature", "features")):
        rows = [i for i in report.importance if i.kind == kind][:_MAX_BARS]
        if rows:
            figure = plots.bars_figure(
                [i.name for i in rows],
                [i.log_loss for i in rows],
                "rise of log-loss, 95 % interval",
                [i.low for i in rows],
                [i.high for i in rows],
            )
            top = ", ".join(f"{i.name} {i.log_loss:.4f}" for i in rows[:5])
            out[f"importance-{name}"] = _draw(figure, f"importance-{name}", f"Permutation importance, largest: {top}.")
    if report.attribution is not None:
        out |= _attribution(report)
    return out


def _attribution(report: ReportData) -> dict[str, Markup]:
    attribution = report.attribution
    assert attribution is not None
    totals = attribution.by_feature
    names = sorted(totals, key=lambda name: (-totals[name], name))[:_MAX_ROWS]
    top = ", ".join(f"{name} {totals[name]:.4f}" for name in names[:5])
    if len(attribution.by_lag) == 1:
        figure = plots.bars_figure(names, [totals[name] for name in names], "mean absolute attribution")
    else:
        at = [attribution.columns.index(name) for name in names]
        by_lag = [[row[i] for i in at] for row in attribution.by_lag]
        figure = plots.lags_figure(names, by_lag, report.unit)
    return {"attribution": _draw(figure, "attribution", f"Integrated gradients, largest: {top}.")}
