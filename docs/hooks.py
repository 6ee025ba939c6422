"""Hook of MkDocs: add the pages that are generated from the code."""

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from ste.config.settings_page import settings_page


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the reference of all settings."""
    files.append(File.generated(config, "all_settings.md", content=settings_page()))
    return files
