"""The run folder of a command, and the logger of what it did: into a log file, and not to the console."""

import logging
import shutil
from contextlib import suppress
from pathlib import Path

from hydra.conf import HydraConf

_RUNS = "runs"
"""Folder of all run folders (conf/common/hydra_defaults.yaml)."""

run_log = logging.getLogger("ste.run_log")


class ConsoleFilter(logging.Filter):
    """Leave out the records of `run_log`, which the console shows as tables."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the console shows a record."""
        return record.name != run_log.name


def remove_unused_folder(hydra: HydraConf) -> None:
    """Remove the run folder of a failed command that holds only the files of Hydra, and the folders it leaves empty.

    Args:
        hydra: configuration of the job.
    """
    folder = Path(hydra.runtime.output_dir)
    settings = folder / str(hydra.output_subdir)
    own = {settings, *settings.glob("*"), folder / f"{hydra.job.name}.log"}
    commands = folder.parent.parent  # OUTPUT/runs/COMMAND/TIME
    if (folder.parent.name, commands.name) != (hydra.job.name, _RUNS) or not own.issuperset(folder.rglob("*")):
        return
    with suppress(OSError):  # a folder with other content remains
        shutil.rmtree(folder)
        for empty in (folder.parent, commands, commands.parent):
            empty.rmdir()
