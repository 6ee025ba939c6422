"""The page of a judgement: the same as a run's, without features and training."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ste.config.judge_settings import JudgeSettings
from ste.judging.judgement import Judgement
from ste.reporting.html.report_data import ReportData
from ste.reporting.html.report_page import render_report


def judgement_page(judgement: Judgement, settings: JudgeSettings, command: str) -> str:
    """Render the page.

    Args:
        judgement: of a file.
        settings: of the command.
        command: that repeats it.
    """
    return render_report(
        ReportData(
            run_id="",
            name=judgement.rows.where,
            model=judgement.model,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            verdict=judgement.verdict,
            scores=judgement.scores,
            predictions=judgement.predictions,
            card=_card(judgement),
            config=_config(settings),
            commands=[command],
            judged=True,
        )
    )


def _config(settings: JudgeSettings) -> dict[str, Any]:
    """Return the settings that decide the scores, as plain data."""
    out = asdict(settings)
    del out["paths"], out["page"], out["scoring"]["max_rows"], out["scoring"]["without_groups"]
    return out


def _card(judgement: Judgement) -> dict[str, Any]:
    """Return the facts of the data that the page shows, as a data card has them."""
    predictions = judgement.predictions
    frame, labels = predictions.frame, np.bincount(predictions.labels, minlength=len(predictions.classes))
    entry = {
        "rows": len(frame),
        "purged": 0,
        "periods": judgement.card.periods,
        "tickers": frame["ticker"].nunique(),
        "first": f"{frame['date'].min():%Y-%m-%d}",
        "last": f"{frame['date'].max():%Y-%m-%d}",
        "file": Path(judgement.rows.where).name,
        "sha256": judgement.digest,
        "classes": dict(zip(predictions.classes, labels.tolist(), strict=True)),
    }
    return {
        "source": "world" if predictions.truth is not None else judgement.rows.shape,
        "frequency": predictions.frequency.partition(":")[0],
        "digest": judgement.digest,
        "classes": predictions.classes,
        "notes": [f"horizon of {predictions.horizon}", *judgement.rows.notes],
        "files": {judgement.split: entry},
    }
