"""Commands that a message asks the user to type, with the user's own folders and store."""

import shlex

from ste.config import PathSettings, TrackingSettings


def command_line(name: str, tracking: TrackingSettings, paths: PathSettings, *overrides: str) -> str:
    """Return `python -m ste.NAME OVERRIDES`, and the settings of the store and the folders that are not the defaults.

    A password in the address of the store is left out.

    Args:
        name: of the command.
        tracking: of the command that prints the message.
        paths: of the command that prints the message.
        overrides: `KEY=VALUE` of the command.
    """
    from ste.config.hydra_app import without_password  # imports Hydra, which a service with a champion does not need

    default = PathSettings()
    own = {
        "paths.output": paths.output if paths.output != default.output else None,
        "paths.data": paths.data if paths.data != default.data else None,
        "tracking.uri": tracking.uri and without_password(tracking.uri),
        "tracking.experiment": tracking.experiment if tracking.experiment != TrackingSettings().experiment else None,
    }
    given = [f"{key}={value}" for key, value in own.items() if value is not None]
    return shlex.join(["python", "-m", f"ste.{name}", *overrides, *given])
