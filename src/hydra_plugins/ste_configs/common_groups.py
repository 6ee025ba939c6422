"""Add `conf/common/` and the files of the plugins to the search path of STE's commands."""

from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

from hydra_plugins.ste_configs.model_file_source import SCHEME
from ste.config.config_files import COMMON, INFERENCE, conf_dir, plugin_folders, plugin_models


class CommonGroups(SearchPathPlugin):
    """Groups that the commands of both roots share; other Hydra applications are left alone."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append the folders if the application's own is one of STE's roots."""
        paths = {Path(str(entry.path).removeprefix("file://")) for entry in search_path.get_path()}
        if {conf_dir(), conf_dir() / INFERENCE} & paths:
            search_path.append(provider="ste", path=f"file://{conf_dir() / COMMON}")
        if conf_dir() in paths:
            for folder in plugin_folders():
                search_path.append(provider="plugin", path=f"file://{folder}")
            for file in plugin_models():
                search_path.append(provider="plugin", path=f"{SCHEME}://{file}")
