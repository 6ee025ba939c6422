"""The page of `--help`: what a command does, the choices of its config groups and its settings.

Hydra's own page costs a second more, because it lists the groups of all installed plugins several times.
"""

from omegaconf import OmegaConf

from ste.config.config_files import group_choices
from ste.config.load import compose_command


def help_page(command: str, overrides: list[str]) -> str:
    """Text of the page.

    Args:
        command: such as `train`.
        overrides: typed with `--help`; the settings are shown with them.

    Raises:
        HydraException: an override that cannot be composed.
    """
    config = compose_command(command, overrides, with_hydra=True)
    own = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    chosen = [str(group) for group in config.hydra.runtime.choices if not str(group).startswith("hydra/")]
    groups = "".join(f"{group}: {', '.join(group_choices(command, group))}\n" for group in sorted(chosen))
    parts = [f"Choices of each group:\n{groups}"] if groups else []
    page = config.hydra.help
    return "\n".join([f"{page.header}\n", *parts, f"Settings:\n{OmegaConf.to_yaml(own)}", page.footer])
