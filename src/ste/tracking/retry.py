"""Retry calls of the store that collide with another process."""

import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

from mlflow.exceptions import MlflowException

_Result = TypeVar("_Result")
_WAITS = (0.05, 0.2, 0.8, 3.0, 10.0)  # seconds
# Two processes insert the same row, such as a dataset that both log, or one locks the file for too long.
_COLLISIONS = ("IntegrityError", "UNIQUE constraint", "duplicate key", "database is locked", "deadlock detected")


def retried(call: Callable[..., _Result], *arguments: Any, **named: Any) -> _Result:
    """Call a function of the client; repeat the call if it collides with another process.

    Args:
        call: the function; a call that fails writes nothing.
        arguments: of the call.
        named: of the call.

    Raises:
        MlflowException: any other error, or a sixth collision.
    """
    for wait in _WAITS:
        try:
            return call(*arguments, **named)
        except MlflowException as error:
            if not any(sign in str(error) for sign in _COLLISIONS):
                raise
        time.sleep(wait * random.uniform(0.5, 1.5))  # random, so that the two processes do not collide again
    return call(*arguments, **named)
