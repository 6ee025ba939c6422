"""The report of one run as a page."""

import yaml

from ste.reporting.formatting import NONE
from ste.reporting.html import charts
from ste.reporting.html import report_tables as tables
from ste.reporting.html.render import render
from ste.reporting.html.report_data import ReportData


def render_report(report: ReportData) -> str:
    """Render one HTML page that loads nothing: styles and charts are inline, and there is no script."""
    held_out = report.held_out
    main = next(iter(held_out))
    score = held_out[main]
    return render(
        "report.html",
        report=report,
        main=main,
        score=score,
        key_figures=tables.key_figures(score),
        headline=tables.headline(report.scores, report.model),
        composition=tables.composition(score, report.model),
        every_figure=tables.every_figure(report.scores),
        confusions={name: tables.confusion(card) for name, card in held_out.items()},
        trading={
            name: tables.metrics_of(held_out[name], "portfolio_") for name in held_out if held_out[name].portfolio
        },
        ranking={name: rows for name, card in held_out.items() if (rows := tables.metrics_of(card, "ic_", "rank_ic_"))},
        members=tables.members(report.members, list(held_out)),
        files=tables.files(report.card),
        data=tables.data(report.card),
        figures=charts.figures(report, main),
        config=yaml.safe_dump(report.config, sort_keys=False, allow_unicode=True),
        none=NONE,
        interval_text=tables.interval_text,
    )
