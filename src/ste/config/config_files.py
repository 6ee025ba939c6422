"""Locations of the configuration files under `conf/`.

`conf/` is the root of the commands that train or read runs, `conf/inference/` that of the commands that use a model:
there `model=FILE` is a setting, not a choice of the group `conf/model/`. Both use the groups of `conf/common/`, which
`hydra_plugins.ste_configs` adds to Hydra's search path.
"""

from functools import cache
from pathlib import Path

from ste.errors import ConfigError

INFERENCE, COMMON = "inference", "common"


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
    folders = (config_root(command) / group, conf_dir() / COMMON / group)
    return sorted(path.stem for folder in folders for path in folder.glob("*.yaml"))
