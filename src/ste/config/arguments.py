"""Split the arguments of a command into Hydra's options and overrides."""

from collections.abc import Sequence
from dataclasses import dataclass

from ste.errors import ConfigError

_SWITCHES = {
    **{name: name for name in ("--help", "--hydra-help", "--version", "--resolve", "--run", "--multirun")},
    **{"-h": "--help", "-r": "--run", "-m": "--multirun", "-sc": "--shell-completion"},
    "--shell-completion": "--shell-completion",
}
_WITH_VALUE = {
    **{name: name for name in ("--cfg", "--package", "--config-path", "--config-name", "--config-dir", "--info")},
    **{"-c": "--cfg", "-p": "--package", "-cp": "--config-path", "-cn": "--config-name", "-cd": "--config-dir"},
    **{"-i": "--info", "--experimental-rerun": "--experimental-rerun"},
}
_INFO = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")


@dataclass(frozen=True)
class Arguments:
    """Arguments of a command.

    Attributes:
        options: of Hydra, each followed by its value.
        overrides: `key=value`.
    """

    options: tuple[str, ...]
    overrides: tuple[str, ...]

    @classmethod
    def parse(cls, arguments: Sequence[str], module: str) -> "Arguments":
        """Split arguments in any order; Hydra itself refuses overrides on both sides of an option.

        Args:
            arguments: as typed.
            module: such as `ste.train`, for messages.

        Raises:
            ConfigError: an option that Hydra does not have, such as `--model`.
        """
        options: list[str] = []
        overrides: list[str] = []
        rest = list(arguments)
        while rest:
            text = rest.pop(0)
            name, equals, value = text.partition("=")
            if not text.startswith("-"):
                overrides.append(text)
            elif text in _SWITCHES:
                options += [_SWITCHES[text]] * (_SWITCHES[text] not in options)
            elif name in _WITH_VALUE:
                options.append(_WITH_VALUE[name])
                if equals:
                    options.append(value)
                elif rest and (options[-1] != "--info" or rest[0] in _INFO):
                    options.append(rest.pop(0))
            else:
                given = value if equals or not rest else rest[0]
                setting = f"{name.lstrip('-').replace('-', '_')}={given or 'VALUE'}"
                raise ConfigError(
                    f"{text}: no such option. Settings are typed as NAME=VALUE. Try python -m {module} {setting}."
                )
        return cls(tuple(options), tuple(overrides))

    @property
    def is_sweep(self) -> bool:
        """Whether several values of a setting are several runs."""
        return "--multirun" in self.options

    @property
    def answered_by_hydra(self) -> bool:
        """Whether Hydra prints something instead of running the command."""
        return bool({"--cfg", "--info", "--hydra-help", "--shell-completion"} & set(self.options))
