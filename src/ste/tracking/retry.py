"""Calls of the store that two processes made at once, made again."""

import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

from mlflow.exceptions import MlflowException

_Result = TypeVar("_Result")
_WAITS = (0.05, 0.2, 0.8, 3.0, 10.0)  # seconds
# Both would write the same row, as of a data set that both log, or one held the file for too long.
_COLLIDED = ("IntegrityError", "UNIQUE constraint", "duplicate key", "database is locked", "deadlock detected")


def retried(call: Callable[..., _Result], *arguments: Any, **named: Any) -> _Result:
    """A call's result; it is made again where another process was in its way.

    Args:
        call: of the client; a call that failed has written nothing.
        arguments: its own.
        named: its own.

    Raises:
        MlflowException: any other fault, or the same one six times.
    """
    for wait in _WAITS:
        try:
            return call(*arguments, **named)
        except MlflowException as error:
            if not any(sign in str(error) for sign in _COLLIDED):
                raise
        time.sleep(wait * random.uniform(0.5, 1.5))  # not both at the same moment again
    return call(*arguments, **named)
