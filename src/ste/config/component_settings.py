"""Settings of `python -m ste.new` and `python -m ste.check`."""

import keyword
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ste.config.validation import Settings
from ste.errors import ConfigError


@dataclass
class NewSettings(Settings):
    """A component to write.

    Attributes:
        kind: a template of `ste.conformance.templates`.
        name: of the module, and of the component in the form that its kind uses.
    """

    kind: str = ""
    name: str = ""

    def check(self) -> None:
        """Require a kind, and a name that Python and the command line take."""
        if not self.kind or not self.name:
            raise ConfigError("new: expected a kind and a name. Try python -m ste.new net my_net.")
        ok = re.fullmatch(r"[a-z][a-z0-9_]*", self.name) and not keyword.iskeyword(self.name)
        self.require(bool(ok), "name", "lower-case letters, digits and underscores", f"my_{self.kind}")


@dataclass
class CheckSettings(Settings):
    """A component to check.

    Attributes:
        component: module of a plugin, name of a component, choice of the group `model`, or import path of an
            estimator; empty checks the components of the typed plugins.
        kind: of the component, where several kinds have its name.
    """

    component: str = ""
    kind: str | None = None


def name_words(arguments: Sequence[str], settings: Sequence[str]) -> list[str]:
    """Write words of a command line as overrides: `net my_net` as `kind=net name=my_net`.

    Args:
        arguments: as typed.
        settings: names of the words, in order.
    """
    names = iter(settings)
    return [one if "=" in one or one.startswith("-") else f"{next(names, 'argument')}={one}" for one in arguments]
