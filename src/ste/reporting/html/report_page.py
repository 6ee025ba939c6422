"""The report of one run as a page."""

import yaml

from ste.evaluation.verdict_text import ARTIFICIAL
from ste.reporting.formatting import NONE, typographic
from ste.reporting.html import charts, tear_sheet
from ste.reporting.html import report_tables as tables
from ste.reporting.html.render import render
from ste.reporting.html.report_data import ReportData

_MAX_YEARS = 3
"""Years of monthly returns that are shown; more of them are in a closed part of the page."""


def render_report(report: ReportData) -> str:
    """Render one HTML page that loads nothing: styles and charts are inline, and there is no script."""
    held_out = report.held_out
    main = next(iter(held_out))
    score = held_out[main]
    drawn = charts.figures(report, main)
    groups = tables.headline(report.scores, report.model)
    second = charts.second_chart(report, main, drawn)
    portfolios = {name: card.portfolio for name, card in held_out.items() if card.portfolio}
    return render(
        "report.html",
        report=report,
        main=main,
        score=score,
        key_figures=tables.key_figures(score, synthetic=report.synthetic),
        headline=[group for group in groups if group.name == main],
        other_splits=[group for group in groups if group.name != main],
        composition=tables.composition(score, report.model, "auroc"),
        composition_details=tables.composition(score, report.model, "accuracy", "mcc"),
        every_figure=tables.every_figure(report.scores),
        confusions={name: tables.confusion(card) for name, card in held_out.items()},
        trading={name: tear_sheet.brief_figures(held_out[name]) for name in portfolios},
        tear_sheet={name: tear_sheet.all_figures(held_out[name]) for name in portfolios},
        drawdowns={name: tear_sheet.worst_drawdowns(portfolio) for name, portfolio in portfolios.items()},
        months={name: tables.monthly_returns(portfolio) for name, portfolio in portfolios.items()},
        max_years=_MAX_YEARS,
        ranking={name: rows for name, card in held_out.items() if (rows := tables.metrics_of(card, "ic_", "rank_ic_"))},
        members=tables.members(report.members, list(held_out)),
        files=tables.files(report.card),
        data=tables.data(report.card),
        figures=drawn,
        second_chart=second,
        calibrated=[name for name in held_out if f"reliability-{name}" in drawn.keys() - {second and second[0]}],
        config=yaml.safe_dump(report.config, sort_keys=False, allow_unicode=True),
        artificial=ARTIFICIAL,
        none=NONE,
        importance=tables.importance(report.importance),
        group_values=tables.group_values(report.groups),
        retrained=tables.retrained_splits(report.groups),
        typographic=typographic,
        interval_text=tables.interval_text,
    )
