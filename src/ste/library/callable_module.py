"""Make the module of a command callable, so that `ste.train` is both a module and a function.

Python supports it by a module's `__class__` (Python's data model, "Customizing module attribute access").
"""

import inspect
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any


class CallableModule(ModuleType):
    """A module that calls a function of the library when it is called."""

    __function__: Callable[..., Any]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        return self.__function__(*args, **kwargs)


def make_callable(module: str, function: Callable[..., Any]) -> None:
    """Make a module call a function of the library.

    Args:
        module: its `__name__`; the main program stays as it is.
        function: that `module(...)` calls.
    """
    own = sys.modules[module]
    if module != "__main__":
        own.__dict__["__function__"] = function
        own.__dict__["__signature__"] = inspect.signature(function)
        own.__class__ = CallableModule
