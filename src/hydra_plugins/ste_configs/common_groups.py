"""Add `conf/common/` to the search path of STE's commands."""

from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

from ste.config.config_files import COMMON, INFERENCE, conf_dir


class CommonGroups(SearchPathPlugin):
    """Groups that the commands of both roots share; other Hydra applications are left alone."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append the folder if the application's own is one of STE's roots."""
        roots = {conf_dir(), conf_dir() / INFERENCE}
        if any(Path(str(entry.path).removeprefix("file://")) in roots for entry in search_path.get_path()):
            search_path.append(provider="ste", path=f"file://{conf_dir() / COMMON}")
