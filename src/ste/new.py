"""Write a component of your own to start from: `python -m ste.new net my_net`."""

import sys
from pathlib import Path

from omegaconf import DictConfig

from ste.config import NewSettings
from ste.config.component_settings import name_words
from ste.config.hydra_app import run
from ste.config.load import load_settings


def new_task(config: DictConfig) -> None:
    """Write the files of a template and print what to type next."""
    from ste.conformance.templates.scaffold import write_component

    settings = load_settings(NewSettings, config)
    written = write_component(settings.kind, settings.name, Path.cwd())
    for path in written.files:
        print(f"wrote  {path.name}")
    print("\nNext:")
    for command in written.commands:
        print(f"  {command}")


def main() -> None:
    """Console entry."""
    sys.argv[1:] = name_words(sys.argv[1:], ("kind", "name"))
    run("new", new_task)


if __name__ == "__main__":
    main()
