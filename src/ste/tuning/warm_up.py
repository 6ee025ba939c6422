"""What a process that will fork does before, and each of the forked before its first trial."""

import importlib
import logging
from contextlib import suppress
from io import BytesIO
from pathlib import Path

from ste.config import DataSettings
from ste.config.fast_imports import loading

_LATE = (
    *("ste.tuning.trial_job", "ste.tracking.logged_model", "ste.tracking.earlier_trials"),
    *("exchange_calendars", "mlflow.store.tracking.sqlalchemy_store"),
)
"""Imported by a run where it first needs them; no store is opened by that."""


def import_all() -> None:
    """Import what a trial imports, early or late: forked processes then have it."""
    with loading():
        for name in ("ste.experiment.run", *_LATE):
            importlib.import_module(name)


def warm(data: DataSettings, folder: Path) -> None:
    """Read the tables, and let matplotlib find its fonts, while the process that forked opens the store.

    Args:
        data: settings of the tables of one of the trials.
        folder: of built tables.
    """
    from ste.data.build.prepare import prepare
    from ste.data.panel import Panel
    from ste.reporting.plots import confusion_figure
    from ste.tracking.provenance import provenance

    logging.disable(logging.CRITICAL)  # what there is to say of the data each trial says
    try:
        with suppress(Exception):  # a fault of one trial's settings is that trial's to tell
            provenance()
            confusion_figure([[1]], ["a"], "b").savefig(BytesIO())
            Panel.read(prepare(data, folder), data)
    finally:
        logging.disable(logging.NOTSET)
