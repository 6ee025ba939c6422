"""The report of a run as a page in memory."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from ste.config.progress import one_line
from ste.data.storage.files import atomic_file
from ste.experiment.explanation import explain
from ste.reporting.html.report_data import ReportData
from ste.reporting.html.report_page import render_report

if TYPE_CHECKING:
    from ste.library.run_result import RunResult

UNTRACKED = "not tracked"


@dataclass(frozen=True)
class ReportDocument:
    """One HTML page that loads nothing.

    Attributes:
        html: the page.
    """

    html: str

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page; the file appears complete or not at all.

        Args:
            path: of the file, such as `report.html`.
        """
        place = Path(path).expanduser()
        with atomic_file(place) as partial:
            partial.write_text(self.html, encoding="utf-8")
        return place

    def __repr__(self) -> str:
        return "ReportDocument: .save(path) writes it"

    def _repr_html_(self) -> str:
        """Return a frame with the page, whose styles stay inside."""
        return f'<iframe srcdoc="{escape(self.html)}" style="width:100%;height:40em;border:0"></iframe>'


def report_document(result: "RunResult", *, importance: bool) -> ReportDocument:
    """Render the report of a run.

    Args:
        result: of the training.
        importance: compute what each feature contributes.
    """
    from ste.tracking.provenance import provenance

    run = result.run
    with one_line():
        explained = explain(run.last.model, result.parts.data.last()[0]) if importance else ([], None)
    return ReportDocument(
        render_report(
            ReportData(
                run_id=run.run_id or UNTRACKED,
                name=f"{run.model} {result.dataset.settings.source}",
                model=run.predictions.model,
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                verdict=run.verdict,
                scores=run.scores,
                predictions=run.predictions,
                history=run.last.history,
                best_epoch=run.best_epoch if run.last.history else None,
                importance=explained[0],
                attribution=explained[1],
                card=run.card,
                config=result.settings,
                provenance=provenance(),
                commands=["import ste", result.call],
            )
        )
    )
