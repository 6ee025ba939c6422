"""Figures: the numbers that went in are the ones that are drawn, and drawings fit into pages."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.colors import to_hex

from ste.reporting.plots import figures as plots
from ste.reporting.plots.theme import INK, LIMIT, MODEL, MUTED, svg

DATES = [str(day) for day in np.datetime64("2020-01-03") + 7 * np.arange(6)]
FIGURES: dict[str, Callable[[], plots.Figure]] = {
    "confusion": lambda: plots.confusion_figure([[3, 1], [0, 0]], ["Downtrend", "Uptrend"], "of 4"),
    "estimates": lambda: plots.estimates_figure(
        ["LSTM", "linear", "Bayes"], [0.5, 0.4, 0.6], [0.45, np.nan, 0.5], [0.55, np.nan, 0.7], "accuracy"
    ),
    "curves": lambda: plots.curves_figure(
        {"loss": {"training": [1.1, 1.0], "validation": [1.2, 1.1]}, "accuracy": {"validation": [0.3, 0.4]}}, 1
    ),
    "one epoch": lambda: plots.curves_figure({"loss": {"training": [1.1], "validation": [1.2]}}, None),
    "reliability": lambda: plots.reliability_figure([0.4, 0.6], [0.38, 0.7], [90, 10]),
    "one bin": lambda: plots.reliability_figure([0.4], [0.4], [7]),
    "equity": lambda: plots.equity_figure(DATES, [1.1, 1.0, 0.9, 1.2, 1.3, 1.25], [0, 0.09, 0.18, 0, 0, 0.04]),
    "benchmark": lambda: plots.equity_figure(DATES[:3], [1.1, 0.5, 0.0], [0, 0.5, 1], [1.0, 30.0, 0.9]),
    "ranking": lambda: plots.ranking_figure(["a", "b"], [0.4, 0.3], [0.3, np.nan], [0.5, np.nan], [0.35, np.nan], "u"),
    "one period": lambda: plots.equity_figure(DATES[:1], [1.1], [0.0]),
    "coefficients": lambda: plots.coefficients_figure(DATES, [0.1, -0.2, 0.3, 0.0, 0.1, 0.1], "week"),
    "bars": lambda: plots.bars_figure(["a", "b"], [0.3, -0.1], "rise", [0.2, -0.2], [0.4, 0.0]),
    "bare bars": lambda: plots.bars_figure(["a", "b"], [0.3, 0.0], "rise"),
    "lags": lambda: plots.lags_figure(["a", "b"], [[0.1, 0.0], [0.2, 0.4], [0.3, 0.1]], "week"),
    "no attribution": lambda: plots.lags_figure(["a"], [[0.0], [0.0]], "week"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_drawing_is_well_formed_repeats_and_fits_into_a_page(name: str):
    one, two = (svg(FIGURES[name](), prefix, "what it shows") for prefix in ("one", "two"))
    root = ET.fromstring(one)
    assert (root.tag, root.get("role"), root.get("aria-label")) == ("svg", "img", "what it shows")
    assert not re.search(r"https?:|<style|<metadata|<script", one)
    ids = re.findall(r'\bid="([^"]+)"', one)
    assert ids
    assert len(ids) == len(set(ids))
    assert all(found.startswith("one-") for found in ids)  # no other drawing of the page has them
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', one)) <= set(ids)
    assert two.replace("two-", "one-") == one
    if name != "confusion":
        assert "var(--muted)" in one
        assert not re.search(r"(?:fill|stroke): #", one.replace("#000000", "")), "a colour of its own"
    assert "DejaVu" not in one


def test_names_are_text_and_neither_formulas_nor_markup():
    drawing = svg(plots.bars_figure(["$x$ & <b>", "ok"], [1, 2], "u"), "fig", 'a "quoted" <i>')
    texts = [element.text for element in ET.fromstring(drawing).iter("text")]
    assert "$x$ & <b>" in texts
    assert 'aria-label="a &quot;quoted&quot; &lt;i&gt;"' in drawing


def test_the_confusion_matrix_shows_counts_and_shares_of_the_true_class():
    [axes] = FIGURES["confusion"]().axes
    assert [text.get_text() for text in axes.texts] == ["3\n75%", "1\n25%", "0\n0%", "0\n0%"]
    assert [text.get_position() for text in axes.texts] == [(0, 0), (1, 0), (0, 1), (1, 1)]
    [image] = axes.images
    assert image.get_array().tolist() == [[0.75, 0.25], [0.0, 0.0]]
    assert image.get_clim() == (0.0, 1.0)
    assert axes.yaxis_inverted()  # the first true class on top
    for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [tick.get_text() for tick in ticks] == ["Downtrend", "Uptrend"]


def test_estimates_are_at_their_values_with_their_intervals():
    axes = FIGURES["estimates"]().axes[0]
    (lines, dots) = axes.collections
    assert np.asarray(dots.get_offsets()).tolist() == [[0.5, 0], [0.4, 1], [0.6, 2]]
    assert [to_hex(colour) for colour in dots.get_facecolors()] == [MODEL, MUTED, LIMIT]
    drawn = [np.asarray(segment).reshape(-1, 2)[:, 0].tolist() for segment in lines.get_segments()]
    assert [0.45, 0.55] in drawn
    assert [0.5, 0.7] in drawn


def test_runs_are_drawn_at_their_values_next_to_their_best_baselines():
    axes = FIGURES["ranking"]().axes[0]
    (_, dots, diamonds) = axes.collections
    assert np.asarray(dots.get_offsets()).tolist() == [[0.4, 0], [0.3, 1]]
    assert np.asarray(diamonds.get_offsets()).tolist()[0] == [0.35, 0]


def test_equity_and_benchmark_are_drawn_on_a_logarithmic_axis_with_round_numbers():
    for name, expected in (("equity", {"0.9", "1.2"}), ("benchmark", {"0.5", "1", "5", "20"})):
        figure = FIGURES[name]()
        axes = figure.axes[0]
        assert axes.get_yscale() == "log"
        figure.canvas.draw()
        assert {label.get_text() for label in axes.get_yticklabels()} >= expected
    portfolio, benchmark = axes.lines[1:]
    assert list(portfolio.get_ydata()) == [1.1, 0.5, 0.0]
    assert list(benchmark.get_ydata()) == [1.0, 30.0, 0.9]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["portfolio", plots.BENCHMARK]


def test_curves_hold_their_values_and_the_best_epoch():
    loss, accuracy = FIGURES["curves"]().axes
    assert [list(line.get_ydata()) for line in loss.lines[:2]] == [[1.1, 1.0], [1.2, 1.1]]
    assert list(loss.lines[0].get_xdata()) == [1, 2]
    assert list(loss.lines[2].get_xdata()) == [2, 2]  # epoch 1 from 0
    assert list(accuracy.lines[0].get_ydata()) == [0.3, 0.4]


def test_coefficients_are_bars_and_their_sum():
    bars, summed = FIGURES["coefficients"]().axes
    heights = np.asarray(bars.lines[0].get_ydata()).reshape(-1, 3)[:, 1]
    assert heights.tolist() == [0.1, -0.2, 0.3, 0.0, 0.1, 0.1]
    assert bars.lines[2].get_ydata()[0] == pytest.approx(0.4 / 6)
    assert summed.lines[0].get_ydata()[-1] == pytest.approx(0.4)


def test_bars_have_their_lengths_from_the_top():
    axes = FIGURES["bars"]().axes[0]
    assert [bar.get_width() for bar in axes.patches] == [0.3, -0.1]
    bottom, top = axes.get_ylim()
    assert top < 0
    assert bottom > 1
    assert to_hex(axes.collections[0].get_color()[0]) == INK


def test_lags_are_shaded_by_their_share_of_the_largest():
    axes = FIGURES["lags"]().axes[0]
    shade = {(round(cell.get_x()), round(cell.get_y() + 0.46)): cell.get_alpha() for cell in axes.patches}
    assert shade[1, 1] == 1.0
    assert shade[2, 0] == pytest.approx(0.75)
    assert shade[0, 1] == 0.0
    assert [label.get_text() for label in axes.get_xticklabels()] == ["last", "\N{MINUS SIGN}1", "\N{MINUS SIGN}2"]


def test_a_small_share_keeps_a_decimal_and_a_nought_has_no_sign():
    figure = plots.equity_figure(DATES[:3], [1.0, 0.99, 1.0], [0.0, 0.01, 0.0])
    figure.canvas.draw()
    texts = [label.get_text() for label in figure.axes[1].get_yticklabels()]
    assert "0.0 %" in texts
    assert not any("-" in text or text.startswith("\N{MINUS SIGN}0.0 ") for text in texts)
