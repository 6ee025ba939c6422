"""Locations of the configuration files under `conf/`.

`conf/` is the root of the commands that train or read runs, `conf/inference/` that of the commands that use a model:
there `model=FILE` is a setting, not a choice of the group `conf/model/`. Both use the groups of `conf/common/`, which
`hydra_plugins.ste_configs` adds to Hydra's search path, and after it the files of the plugins for the first root:

* the folder `conf` next to the plugin's file, with a folder for each group;
* `my_net.yaml` next to `my_net.py`, the choice `my_net` of the group `model`.
"""

from functools import cache
from pathlib import Path

from ste.errors import ConfigError
from ste.plugins import PLUGINS

INFERENCE, COMMON = "inference", "common"
MODEL_GROUP = "model"


@cache
def conf_dir() -> Path:
    """Find the configuration folder: next to `src/` in a checkout, inside the package when installed."""
    package = Path(__file__).parents[1]
    for folder in (package / "conf", package.parents[1] / "conf"):
        if (folder / "train.yaml").is_file():
            return folder
    raise ConfigError(f"{package}: the configuration files are missing. Install the package again.")


def config_root(command: str) -> Path:
    """Folder of a command's configuration file."""
    root = conf_dir() / INFERENCE
    return root if (root / f"{command}.yaml").is_file() else conf_dir()


def group_choices(command: str, group: str) -> list[str]:
    """Names of the files that a command can choose for a config group; empty where there is no such group."""
    return sorted(group_files(command, group))


def group_files(command: str, group: str) -> dict[str, Path]:
    """Find the files that a command can choose for a config group, by name, those of the plugins included.

    Raises:
        ConfigError: a plugin's file has the name of another.
    """
    root = config_root(command)
    folders = (root / group, conf_dir() / COMMON / group)
    files = {path.stem: path for folder in folders for path in folder.glob("*.yaml")}
    if root == conf_dir():
        own = [path for folder in plugin_folders() for path in sorted((folder / group).glob("*.yaml"))]
        for path in [*own, *(plugin_models() if group == MODEL_GROUP else [])]:
            if files.setdefault(path.stem, path) != path:
                raise ConfigError(f"{path}: {group}={path.stem} is {files[path.stem]}. Give the file another name.")
    return files


def plugin_folders() -> list[Path]:
    """Folders `conf` next to the plugins' files."""
    folders = (path.parent / "conf" for path in _plugin_files())
    return [folder for folder in dict.fromkeys(folders) if folder.is_dir() and folder != conf_dir()]


def plugin_models() -> list[Path]:
    """Files `my_net.yaml` next to a plugin's `my_net.py`: choices of the group `model`."""
    return [path for file in _plugin_files() if (path := file.with_suffix(".yaml")).is_file()]


def _plugin_files() -> list[Path]:
    return [path.resolve() for plugin in PLUGINS.values() if (path := plugin.path) is not None]
