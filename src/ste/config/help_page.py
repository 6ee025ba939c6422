"""The page of `--help`: what a command does, the choices of its config groups, and its settings with their meaning.

Hydra's own page costs a second more, because it lists the groups of all installed plugins several times.
"""

import textwrap

from omegaconf import OmegaConf

from ste.config.config_files import group_choices
from ste.config.load import compose_command
from ste.config.setting_comments import keyed_lines, setting_comments

WIDTH = 80
_MEANING = 30  # column where a setting's meaning starts


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
    choices = {str(group): str(name) for group, name in config.hydra.runtime.choices.items()}
    chosen = {group: name for group, name in sorted(choices.items()) if not group.startswith("hydra/")}
    meanings = setting_comments(command, chosen)
    groups = [_wrapped(f"  {group}:", ", ".join(group_choices(command, group))) for group in chosen]
    parts = ["\n".join(["Choices of each group:", *groups, ""])] if groups else []
    settings = "\n".join(
        _wrapped(line, meanings.get(key, "")) for key, line in keyed_lines(OmegaConf.to_yaml(own).splitlines())
    )
    page = config.hydra.help
    return "\n".join([f"{page.header}\n", *parts, f"Settings:\n{settings}\n", page.footer])


def _wrapped(head: str, text: str) -> str:
    """Put a text next to a head, in its own column, wrapped."""
    if not text:
        return head
    lines = textwrap.wrap(text, WIDTH - _MEANING, break_long_words=False)
    first = [f"{head:<{_MEANING - 1}} {lines[0]}"] if len(head) < _MEANING else [head, " " * _MEANING + lines[0]]
    return "\n".join([*first, *(" " * _MEANING + line for line in lines[1:])])
