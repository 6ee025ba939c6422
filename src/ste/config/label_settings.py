"""Settings of the labels: the method, its parameters, and the weights of the training examples."""

import difflib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, ClassVar, Literal, get_type_hints

from annotated_types import Gt

from ste.config.validation import NonNegativeFloat, PositiveFloat, PositiveInt, Settings, setting_error, validate_value
from ste.errors import ConfigError
from ste.registry import LABELS

_OPTIONAL = ("threshold", "lower", "strong")
"""Settings of several methods; the others do not read them."""


@dataclass
class LabelSettings(Settings):
    """How the class of a row is derived from what follows it, and how much its example counts in training.

    Attributes:
        horizon: periods ahead that a label looks at most.
        method: name in `ste.registry.LABELS`; set by the config group.
        threshold: a return above it is an Uptrend, of methods with thresholds.
        lower: a return below it is a Downtrend; None is the negative of `threshold`, or of `upper`.
        strong: factor of both thresholds beyond which a trend is strong, with four or five classes.
        classes: 2 to 5. With 2 and 4 the rows of the middle class, Neutral, are left out of training and scoring.
        weights: of the training examples: `none`; `age`, less the older it is; `uniqueness`, less where labels of
            the ticker overlap; or `both`.
        half_life: periods over which the weight of `age` halves.
        arguments: the method's own parameters, by name.
    """

    section: ClassVar[str] = "data.labels"

    horizon: PositiveInt = 1
    method: str = "fixed"
    threshold: NonNegativeFloat = 0.01
    lower: float | None = None
    strong: Annotated[float, Gt(1)] = 3.0
    classes: Literal[3, 2, 4, 5] = 3
    weights: Literal["none", "age", "uniqueness", "both"] = "none"
    half_life: PositiveFloat = 104.0
    arguments: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def gathered(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Move the method's own parameters, which stand next to the other settings, to `arguments`."""
        known = {one.name for one in fields(cls)}
        own = {key: value for key, value in values.items() if key not in known}
        others = {key: value for key, value in values.items() if key in known}
        return {**others, "arguments": {**others.get("arguments", {}), **own}} if own else others

    def check(self) -> None:
        """Check the arguments against the method's parameters, and the rules of the method.

        Raises:
            ConfigError: an unknown method or parameter, or a value that the method refuses.
        """
        method = LABELS[self.method]
        known = parameters(method)
        for name, value in self.arguments.items():
            if name not in known or name in _COMMON:
                raise self._unknown(name, known)
            hint, default = known[name]
            validate_value(f"{self.section}.{name}", value, hint, default)
        needed = [name for name, (_, default) in known.items() if default is inspect.Parameter.empty]
        for name in (name for name in needed if name not in _COMMON and name not in self.arguments):
            raise ConfigError(f"{self.section}.{name}: is needed by the labels of {self.method}. Give its value.")
        for name in _OPTIONAL:
            default = next(one.default for one in fields(self) if one.name == name)
            unread = f"{'null' if default is None else default} with data.labels.method={self.method}"
            self.require(name in known or getattr(self, name) == default, name, unread)
        for ok, name, expected, example in getattr(method, "rules", lambda _: ())(self):
            if not ok:
                raise setting_error(self.section, name, self.value(name), expected, example)

    def value(self, name: str) -> Any:
        """Return the value of a setting or of a parameter of the method; its default where it is not given."""
        if name in _COMMON:
            return getattr(self, name)
        return self.arguments.get(name, parameters(LABELS[self.method])[name][1])

    def method_arguments(self) -> dict[str, Any]:
        """Return the value of each parameter of the method."""
        return {name: self.value(name) for name in parameters(LABELS[self.method])}

    def _unknown(self, name: str, known: Mapping[str, Any]) -> ConfigError:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f" Did you mean {' or '.join(f'{self.section}.{one}' for one in near)}?" if near else ""
        return ConfigError(
            f"{self.section}.{name}: no such setting of data.labels.method={self.method}.{hint} Expected one of "
            f"{', '.join(known)}."
        )


_COMMON = {one.name for one in fields(LabelSettings)} - {"arguments"}


def parameters(method: Any) -> dict[str, tuple[Any, Any]]:
    """Return the parameters of a label method by name: annotation and default.

    Args:
        method: a subclass of `LabelMethod`, or a function whose first parameter is the rows.
    """
    hints = get_type_hints(method, include_extras=True)
    names = list(inspect.signature(method).parameters.values())
    own = names if inspect.isclass(method) else names[1:]
    return {one.name: (hints.get(one.name, Any), one.default) for one in own}
