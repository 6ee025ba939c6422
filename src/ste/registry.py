"""Registries of the components that can be added: one file each, with a decorator.

A component of the project registers itself with the registry of its kind, one of a plugin (`ste.plugins`) with
`@ste.register`.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from ste.errors import ConfigError, check_name
from ste.plugins import Plugin, importing, load_installed_plugins

T = TypeVar("T", bound=Callable[..., Any])


class Registry(Mapping[str, Any]):
    """Components of one kind by name.

    The modules of the kind's own package and the plugins of installed distributions are imported at the first look-up,
    so that a component is found because its file is there.

    Args:
        kind: what a component is called in messages, such as `model.net`.
        package: dotted name of the package whose modules register components.
        adapter: dotted name of a function `(component, name, **options)` that returns what is registered for what the
            user decorates; None registers the decorated class or function, and takes no options.
    """

    def __init__(self, kind: str, package: str, adapter: str | None = None) -> None:
        self.kind = kind
        self._package, self._adapter = package, adapter
        self._components: dict[str, Any] = {}
        self._plugins: dict[str, Plugin] = {}
        self._loaded = False
        self.changes = 0
        """How often a component was replaced or removed: what was made of the earlier one is outdated."""

    def register(self, component: T) -> T:
        """Add a class or function under its own name; used as a decorator.

        Raises:
            ConfigError: another component has that name.
        """
        self.add(component.__name__, component)
        return component

    def add(self, name: str, component: Any, plugin: Plugin | None = None) -> None:
        """Add a component under a name.

        Args:
            name: unique.
            component: class, function or object.
            plugin: that it comes from; None is the project.

        Raises:
            ConfigError: another component has that name.
        """
        plugin = plugin or _origin(component)
        owner = self._plugins.get(name)
        if self._components.get(name, component) is not component and (owner is None or owner != plugin):
            whose = " and ".join(sorted({"ste" if one is None else one.module for one in (plugin, owner)}))
            raise ConfigError(f"{self.kind}={name}: registered by {whose}. Give one of them another name.")
        self.changes += self._components.get(name, component) is not component
        self._components[name] = component  # a plugin may define its own again, as a notebook does
        if plugin is not None:
            self._plugins[name] = plugin

    def declare(self, component: Any, name: str | None, options: Mapping[str, Any]) -> None:
        """Add what a plugin decorates.

        Args:
            component: class or function.
            name: None is its own.
            options: of the decorator, which the kind's adapter takes.

        Raises:
            ConfigError: another component has that name.
            TypeError: options that the kind does not have.
        """
        name, plugin = name or str(component.__name__), _origin(component)
        if self._adapter is not None:
            module, _, function = self._adapter.rpartition(".")
            component = getattr(importlib.import_module(module), function)(component, name, **options)
        elif options:
            raise TypeError(f"{self.kind}: a component of this kind has no option {', '.join(options)}")
        self.add(name, component, plugin)

    def remove(self, name: str) -> None:
        """Remove the component of a plugin, where there is one of that name."""
        if self._plugins.pop(name, None) is not None:
            del self._components[name]
            self.changes += 1

    def plugin(self, name: str) -> Plugin | None:
        """Return the plugin that a component comes from; None for one of the project, and for an unknown one."""
        return self._plugins.get(name)

    @property
    def of_plugins(self) -> dict[str, Plugin]:
        """The plugin of each component that comes from one, by the component's name; nothing is imported."""
        return dict(self._plugins)

    def __getitem__(self, name: str) -> Any:
        """The component of that name.

        Raises:
            ConfigError: there is none; the message lists the nearest names.
        """
        self._load()
        check_name(self.kind, name, self._components)
        return self._components[name]

    def build(self, name: str, arguments: Mapping[str, Any], section: str = "model") -> Any:
        """Build a component of the configuration.

        Args:
            name: of its class.
            arguments: keyword arguments of the class.
            section: group of the arguments in the configuration.

        Raises:
            ConfigError: no such component, or an argument that it does not accept.
        """
        component = self[name]
        try:
            return component(**arguments)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{section}.{error}.") from None

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
        load_installed_plugins()


MODELS = Registry("model.net", "ste.models")
"""Nets, by class name."""

BASELINES = Registry("model.baseline", "ste.baselines")
"""Baseline estimators, by class name."""

LOSSES = Registry("fit.loss", "ste.training.losses")
"""Losses of nets (`ste.training.losses.base.Loss`), by name."""

METRICS = Registry("fit.monitor", "ste.evaluation.metrics", adapter="ste.evaluation.metrics.base.declare_metric")
"""Metrics of class probabilities (`ste.evaluation.metrics.base.Metric`), by name."""

AUGMENTATIONS = Registry("augment.name", "ste.training.augmentation.transforms")
"""Transforms of training batches, by name: functions of an `ste.training.augmentation.base.AugmentedBatch`."""

CALLBACKS = Registry("callbacks.name", "ste.training.callbacks")
"""Lightning callbacks of our own, by class name."""

FETCHERS = Registry("source", "ste.fetching")
"""Services of `python -m ste.fetch` by name: functions of `FetchSettings` that return a `FetchReport`."""

FEATURE_FUNCTIONS = Registry(
    "feature function", "ste.expressions.functions", adapter="ste.expressions.user_functions.user_function"
)
"""Operators and functions of feature expressions (`ste.expressions.operators.Operator`), by name."""

LABELS = Registry("data.labels.method", "ste.labels.methods", adapter="ste.labels.label_method.declare_label")
"""Label methods by name: subclasses of `ste.labels.label_method.LabelMethod`, or functions that return `Labels`."""

PORTFOLIOS = Registry(
    "scoring.portfolio",
    "ste.evaluation.portfolio.construction",
    adapter="ste.evaluation.portfolio.candidates.declare_construction",
)
"""Ways to choose a portfolio's weights (`ste.evaluation.portfolio.candidates.Construction`), by name."""

READERS = Registry("bar reader", "ste.data.bar_files.readers")
"""Readers of bar files by class name (`ste.data.bar_files.reader_registry.Reader`); one is made for each file."""

KINDS: dict[str, Registry] = {
    "model": MODELS,
    "baseline": BASELINES,
    "loss": LOSSES,
    "metric": METRICS,
    "augmentation": AUGMENTATIONS,
    "callback": CALLBACKS,
    "feature": FEATURE_FUNCTIONS,
    "fetcher": FETCHERS,
    "source": READERS,
    "label": LABELS,
    "portfolio": PORTFOLIOS,
}
"""Registry of each kind that `register` takes."""


def register(kind: str, name: str | None = None, **options: Any) -> Callable[[T], T]:
    """Register a component of the user's own; used as a decorator: `@ste.register("model")`.

    Args:
        kind: one of `KINDS`.
        name: that the configuration uses; None is the name of the class or function.
        options: of the kind, such as `low`, `high` and `higher_is_better` of a metric, or `lookback` of a feature.

    Raises:
        ConfigError: an unknown kind, or a name that is registered already.
    """
    check_name("ste.register", kind, KINDS)

    def add(component: T) -> T:
        KINDS[kind].declare(component, name, options)
        return component

    return add


def _origin(component: Any) -> Plugin | None:
    """Return the plugin that a component comes from; None for one of the project."""
    module = str(getattr(component, "__module__", "ste"))
    return None if module.split(".", maxsplit=1)[0] == "ste" else importing() or Plugin(module)
