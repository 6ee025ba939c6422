"""Registries of the components that can be added: one file each, with a decorator."""

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from ste.errors import ConfigError, check_name

T = TypeVar("T", bound=Callable[..., Any])


class Registry(Mapping[str, Any]):
    """Components of one kind by name.

    The modules of the kind's own package are imported at the first look-up, so that a component is found because its
    file is there.

    Args:
        kind: what a component is called in messages, such as `model.net`.
        package: dotted name of the package whose modules register components.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self._package = package
        self._components: dict[str, Any] = {}
        self._loaded = False

    def register(self, component: T) -> T:
        """Add a class or function under its own name; used as a decorator.

        Raises:
            ValueError: another component has that name.
        """
        self.add(component.__name__, component)
        return component

    def add(self, name: str, component: Any) -> None:
        """Add a component under a name.

        Raises:
            ValueError: another component has that name.
        """
        if self._components.setdefault(name, component) is not component:
            raise ValueError(f"{self.kind}: {name} is registered twice")

    def __getitem__(self, name: str) -> Any:
        """The component of that name.

        Raises:
            ConfigError: there is none; the message lists the nearest names.
        """
        self._load()
        check_name(self.kind, name, self._components)
        return self._components[name]

    def build(self, name: str, arguments: dict[str, Any]) -> Any:
        """Build a component of the configuration's group `model`.

        Args:
            name: of its class.
            arguments: keyword arguments of the class.

        Raises:
            ConfigError: no such component, or an argument that it does not accept.
        """
        component = self[name]
        try:
            return component(**arguments)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"model.{error}.") from None

    def __contains__(self, name: object) -> bool:
        self._load()
        return name in self._components

    def __iter__(self) -> Iterator[str]:
        self._load()
        return iter(sorted(self._components))

    def __len__(self) -> int:
        self._load()
        return len(self._components)

    def _load(self) -> None:
        if self._loaded:
            return
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self._package}.{module.name}")
        self._loaded = True


MODELS = Registry("model.net", "ste.models")
"""Nets, by class name."""

BASELINES = Registry("model.baseline", "ste.baselines")
"""Baseline estimators, by class name."""

LOSSES = Registry("fit.loss", "ste.training.losses")
"""Training losses other than cross-entropy, by name."""

METRICS = Registry("fit.monitor", "ste.evaluation.metrics")
"""Metrics of class probabilities (`ste.evaluation.metrics.base.Metric`), by name."""

CALLBACKS = Registry("callbacks.name", "ste.training.callbacks")
"""Lightning callbacks of our own, by class name."""

FETCHERS = Registry("source", "ste.fetching")
"""Services of `python -m ste.fetch` by name: functions of `FetchSettings` that return a `FetchReport`."""
