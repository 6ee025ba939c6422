"""The folder of a run that a program trains."""

import tempfile
from datetime import datetime
from pathlib import Path


class RunFolder:
    """A folder for the files of a run.

    Args:
        output: folder of a tracked run's files; None is a temporary folder, removed with this object.
    """

    def __init__(self, output: Path | None) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="ste-run-") if output is None else None
        root = Path(self._temporary.name) if self._temporary else (output or Path()) / "runs" / "train"
        self.path = root / f"{datetime.now():%Y-%m-%d_%H-%M-%S-%f}"
