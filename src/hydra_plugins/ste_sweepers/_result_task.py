"""Wrap the task of a sweep's jobs so that each returns a `TrialResult`."""

import traceback
from dataclasses import dataclass
from typing import Any

from hydra.types import TaskFunction

from ste.errors import SteError
from ste.tuning.trial_result import FAILED, TrialResult


@dataclass(frozen=True)
class ResultTask:
    """The task, with its exceptions as failed results: an exception need not be picklable, a result is.

    Attributes:
        task: Hydra's task function.
    """

    task: TaskFunction

    def __call__(self, config: Any) -> TrialResult:
        """Run the task."""
        try:
            result: TrialResult = self.task(config)
        except SteError as error:
            return TrialResult(FAILED, error=str(error), mistake=True)
        except Exception as error:
            traceback.print_exc()
            text = str(error).strip().splitlines()
            return TrialResult(FAILED, error=f"{type(error).__name__}: {text[0] if text else ''}"[:300])
        return result
