"""Compose the configurations of a sweep's jobs, once for each choice of config files.

Hydra composes the configuration of every job in full, which takes half the time of a small trial. Jobs that choose
the same files differ in values only, and these are set on a copy of the composed configuration.
"""

import copy

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException


class JobComposer:
    """Composer of jobs' configurations.

    Args:
        loader: Hydra's.
        config: of the sweep.
    """

    def __init__(self, loader: ConfigLoader, config: DictConfig) -> None:
        self._loader, self._config = loader, config
        self._parser = OverridesParser.create()
        self._is_group: dict[str, bool] = {}
        self._composed: dict[tuple[str, ...], DictConfig] = {}
        # Hydra works out the job's `override_dirname` from all of its overrides.
        self._in_full = "override_dirname" in OmegaConf.to_yaml(config.hydra.sweep, resolve=False)

    def compose(self, overrides: list[str]) -> DictConfig:
        """Compose a job's configuration, as Hydra's `load_sweep_config` does, but for `hydra.job.override_dirname`.

        Args:
            overrides: of the job, as typed.

        Raises:
            HydraException: overrides that cannot be composed.
        """
        if self._in_full:
            return self._loader.load_sweep_config(self._config, overrides)
        parsed = self._parser.parse_overrides(overrides)
        values = [override for override in parsed if self._sets_value(override)]
        chosen = tuple(str(override.input_line) for override in parsed if override not in values)
        if chosen not in self._composed:
            self._composed[chosen] = self._loader.load_sweep_config(self._config, list(chosen))
        config = copy.deepcopy(self._composed[chosen])
        try:
            for override in values:
                OmegaConf.update(config, override.key_or_group, override.value(), merge=True)
        except OmegaConfBaseException:
            return self._loader.load_sweep_config(self._config, overrides)  # raises Hydra's own error
        OmegaConf.copy_cache(from_config=self._config, to_config=config)
        typed = [override for override in parsed if not override.is_hydra_override()]
        config.hydra.overrides.task = [str(override.input_line) for override in typed]
        config.hydra.job.override_dirname = ""
        return config

    def _sets_value(self, override: Override) -> bool:
        """Whether an override sets an existing value and chooses no file."""
        key = override.key_or_group
        if override.type is None or override.package is not None or override.is_hydra_override():
            return False
        if override.is_add() or override.is_force_add() or override.is_delete() or override.is_sweep_override():
            return False
        if key not in self._is_group:
            self._is_group[key] = bool(self._loader.get_group_options(key))
        return not self._is_group[key]
