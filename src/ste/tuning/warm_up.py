"""Preparation of forked worker processes: imports before the fork, tables before the first trial."""

import importlib
import logging
from contextlib import suppress
from io import BytesIO
from pathlib import Path

from ste.config import DataSettings
from ste.config.fast_imports import fast_imports

_LATE = (
    *("ste.tuning.trial_job", "ste.tracking.logged_model", "ste.tracking.earlier_trials"),
    *("exchange_calendars", "mlflow.store.tracking.sqlalchemy_store"),
)
"""Modules that a run imports at first use; importing them opens no store."""


def import_all() -> None:
    """Import every module that a trial uses, so that forked processes share them."""
    with fast_imports():
        for name in ("ste.experiment.run", *_LATE):
            importlib.import_module(name)


def warm(data: DataSettings, folder: Path) -> None:
    """Read the tables and load matplotlib's fonts while the parent process opens the store.

    Args:
        data: settings of the tables of one of the trials.
        folder: of built tables.
    """
    from ste.data.build.prepare import prepare
    from ste.data.panel import Panel
    from ste.reporting.plots.figures import confusion_figure
    from ste.tracking.provenance import provenance

    logging.disable(logging.CRITICAL)  # each trial logs the notes on its data
    try:
        with suppress(Exception):  # the trial with these settings reports the error
            provenance()
            confusion_figure([[1]], ["a"], "b").savefig(BytesIO())
            Panel.read(prepare(data, folder), data)
    finally:
        logging.disable(logging.NOTSET)
