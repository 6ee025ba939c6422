"""A source of Hydra's with one file: `my_net.yaml` of a plugin `my_net.py`, as a choice of the group `model`."""

from pathlib import Path

from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from omegaconf import OmegaConf

from ste.config.config_files import MODEL_GROUP

SCHEME = "plugin-model"


class ModelFileSource(ConfigSource):
    """The file of the path as `model/NAME`."""

    @staticmethod
    def scheme() -> str:
        """Return the scheme of its paths."""
        return SCHEME

    def load_config(self, config_path: str) -> ConfigResult:
        """Read the file.

        Raises:
            ConfigLoadError: another configuration is asked for.
        """
        if not self.is_config(config_path):
            raise ConfigLoadError(f"Config not found : {config_path}")
        config = OmegaConf.load(self.path)
        return ConfigResult(config=config, path=self.full_path(), provider=self.provider, header={"package": None})

    def available(self) -> bool:
        """Whether the file is there."""
        return Path(self.path).is_file()

    def is_group(self, config_path: str) -> bool:
        """Whether a path is the group `model` or the root."""
        return config_path.rstrip("/") in ("", MODEL_GROUP)

    def is_config(self, config_path: str) -> bool:
        """Whether a path is the file's."""
        return self._normalize_file_name(config_path) == f"{MODEL_GROUP}/{Path(self.path).name}"

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """List the group at the root, and the file in the group."""
        if config_path == "":
            return [] if results_filter == ObjectType.CONFIG else [MODEL_GROUP]
        inside = config_path.rstrip("/") == MODEL_GROUP and results_filter != ObjectType.GROUP
        return [Path(self.path).stem] if inside else []
