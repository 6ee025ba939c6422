"""A model in use, on one page."""

from typing import Any

from ste.evaluation.scorecard import Estimate
from ste.reporting.html.formatting import Cell, cell, label, p_value
from ste.reporting.html.render import render

_WATCHED = {"probability": "P({})"}


def render_monitor(content: dict[str, Any]) -> str:
    """One HTML page without network.

    Args:
        content: of `ste.monitoring.recommendation.Page.plain`.
    """
    moved = [
        {**one, "title": _WATCHED.get(one["kind"], "{}").format(one["name"]), "p_text": p_value(one["p"])}
        for one in content["drift"]["moved"]
    ]
    return render("monitor.html", page=content, moved=moved, figures=_figures(content["record"]))


def _figures(record: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Each compared figure with its three cells."""
    if record is None:
        return []
    return [
        {
            "name": label(one["name"]),
            "cells": [_cell(one[key], one["name"], signed=key == "gain") for key in ("now", "then", "gain")],
            "word": one["word"],
        }
        for one in record["compared"]
    ]


def _cell(figure: dict[str, Any], name: str, *, signed: bool) -> Cell:
    return cell(Estimate(**figure), name, signed=signed)
