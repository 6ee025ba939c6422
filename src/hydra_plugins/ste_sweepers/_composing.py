"""Configurations of a sweep's jobs, composed once for each choice of config groups.

Hydra composes anew for every job, which takes longer than the rest of what it does. Jobs that choose the same
files differ in values alone, and values are applied to what was composed last, as Hydra itself does it.
"""

import copy
from typing import Any

from hydra._internal.config_loader_impl import get_overrides_dirname
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf


class Composer:
    """Jobs' configurations.

    Args:
        loader: Hydra's.
        config: of the sweep.
    """

    def __init__(self, loader: Any, config: DictConfig) -> None:
        self._loader, self._config = loader, config
        self._parser = OverridesParser.create()
        self._groups: dict[str, bool] = {}
        self._composed: dict[tuple[str, ...], DictConfig] = {}

    def compose(self, overrides: list[str]) -> DictConfig:
        """A job's configuration, the caller's own, as `load_sweep_config` gives it.

        Raises:
            HydraException: overrides that do not fit.
        """
        parsed = self._parser.parse_overrides(overrides)
        values = [override for override in parsed if self._is_value(override)]
        chosen = tuple(str(override.input_line) for override in parsed if override not in values)
        if chosen not in self._composed:
            self._composed[chosen] = self._loader.load_sweep_config(self._config, list(chosen))
        config = copy.deepcopy(self._composed[chosen])
        self._loader._apply_overrides_to_config(values, config)
        OmegaConf.copy_cache(from_config=self._config, to_config=config)
        typed = [override for override in parsed if not override.is_hydra_override()]
        config.hydra.overrides.task = [str(override.input_line) for override in typed]
        words = config.hydra.job.config.override_dirname
        config.hydra.job.override_dirname = get_overrides_dirname(
            typed, words.exclude_keys, item_sep=words.item_sep, kv_sep=words.kv_sep
        )
        return config

    def _is_value(self, override: Override) -> bool:
        """Whether it sets a value that is there, and chooses no file."""
        key = override.key_or_group
        if override.type is None or override.package is not None or override.is_hydra_override():
            return False
        if override.is_add() or override.is_force_add() or override.is_delete() or override.is_sweep_override():
            return False
        if key not in self._groups:
            self._groups[key] = bool(self._loader.repository.group_exists(key))
        return not self._groups[key]
