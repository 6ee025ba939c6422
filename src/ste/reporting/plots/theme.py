"""Style of the figures: colours, panels, and conversion to inline SVG.

On a page the colours become CSS custom properties, so that a drawing follows a light or dark theme; in a PNG they have
the values below.
"""

import re
from collections.abc import Sequence
from html import escape
from io import StringIO
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

INK, MUTED, LINE = "#1d2126", "#5b6470", "#d9d6cf"
MODEL, LIMIT, LOSS = "#1f5fa9", "#a8530f", "#a3313d"
_PROPERTIES = {INK: "--ink", MUTED: "--muted", LINE: "--line", MODEL: "--model", LIMIT: "--limit", LOSS: "--loss"}

MINUS = "\N{MINUS SIGN}"

_WIDTH = 5.0  # inches; on a phone of 390 pixels a point is about a pixel, so that the text stays readable
_FONT = 10.5
_DECADE = 10.0


def svg(figure: Figure, name: str, description: str) -> str:
    """Convert a figure to an inline `<svg>` in the colours of its page; deterministic.

    Args:
        figure: to convert.
        name: unique on the page; prefix of the ids in the drawing.
        description: alternative text.
    """
    for text in figure.findobj(Text):
        text.set_parse_math(False)  # a name with two dollar signs is not a formula
    out = StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "ste"}):
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    # The metadata contains URLs, and the style would apply to the complete page.
    drawing = re.sub(r"<(metadata|style).*?</\1>", "", out.getvalue(), flags=re.DOTALL)
    drawing = drawing[drawing.index("<svg") :]
    size = re.search(r'viewBox="([^"]+)"', drawing)
    assert size is not None
    label = f'<svg class="figure" role="img" aria-label="{escape(description)}" viewBox="{size[1]}">'
    drawing = label + drawing[drawing.index(">") + 1 :]
    drawing = re.sub(r"font(-family)?: [^;\"]*", lambda found: _plain_font(found[0]), drawing)
    drawing = drawing.replace("xlink:href", "href")
    drawing = re.sub(r'(\bid="|\bhref="#|url\(#)', rf"\g<1>{name}-", drawing)
    for colour, custom in _PROPERTIES.items():
        drawing = drawing.replace(colour, f"var({custom})")
    return drawing.strip()


def _plain_font(style: str) -> str:
    """Remove the font family from a style: the page sets it."""
    sized = re.search(r"[\d.]+px", style)
    return f"font-size: {sized[0]}" if style.startswith("font:") and sized else ""


def panels(height: float, count: int = 1, ratios: Sequence[float] | None = None) -> tuple[Figure, list[Axes]]:
    """Create a figure with panels below each other that share their x axis."""
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    panels = figure.subplots(count, 1, squeeze=False, sharex=True, height_ratios=ratios)[:, 0].tolist()
    for axes in panels:
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_color(MUTED)
        axes.tick_params(colors=MUTED, labelsize=_FONT - 0.5, length=0, pad=4)
        axes.set_axisbelow(True)
        for label in (axes.xaxis.label, axes.yaxis.label):
            label.set_color(MUTED)
            label.set_fontsize(_FONT - 0.5)
    figure.align_ylabels(panels)
    return figure, panels


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Label the rows of a figure, the first on top."""
    axes.set_yticks(range(len(names)), list(names))
    axes.tick_params(axis="y", labelcolor=INK, labelsize=_FONT)
    axes.set_ylim(len(names) - 0.4, -0.6)


def legend(figure: Figure, axes: Axes) -> None:
    """Add a legend of one panel's lines above the panels."""
    figure.legend(
        *axes.get_legend_handles_labels(),
        loc="outside upper left",
        ncols=3,
        frameon=False,
        fontsize=_FONT - 0.5,
        labelcolor=INK,
    )


def percent(axis: Any) -> None:
    """Format the fractions on an axis as percent."""

    def text(value: float, _: int) -> str:
        low, high = axis.get_view_interval()
        return f"{100 * value + 0.0:.{0 if high - low > 0.04 else 1}f} %".replace("-", MINUS)

    axis.set_major_formatter(FuncFormatter(text))


def logarithmic(axis: Any, low: float, high: float) -> None:
    """Format the axis of positive values that is logarithmic: round numbers, also within a factor of ten.

    Args:
        axis: of a panel whose scale is logarithmic.
        low: smallest value drawn.
        high: largest value drawn.
    """
    narrow = high < _DECADE * low
    axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]) if narrow else LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def dated(*panels: Axes) -> None:
    """Format the date axis that panels share."""
    locator = AutoDateLocator(minticks=3, maxticks=7)
    for axes in panels:
        axes.grid(axis="y", color=LINE, linewidth=0.6)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))
