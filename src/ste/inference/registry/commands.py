"""Commands that a message asks the user to type, with the user's own folders and store."""

import shlex

from ste.config import PathSettings, TrackingSettings


def command_line(name: str, tracking: TrackingSettings, paths: PathSettings, *overrides: str) -> str:
    """Return `python -m ste.NAME OVERRIDES`, and the settings of the store and the folders that are not the defaults.

    Args:
        name: of the command.
        tracking: of the command that prints the message.
        paths: of the command that prints the message.
        overrides: `KEY=VALUE` of the command.
    """
    default = PathSettings()
    own = {
        "paths.output": paths.output if paths.output != default.output else None,
        "paths.data": paths.data if paths.data != default.data else None,
        "tracking.uri": tracking.uri,
        "tracking.experiment": tracking.experiment if tracking.experiment != TrackingSettings().experiment else None,
    }
    given = [f"{key}={value}" for key, value in own.items() if value is not None]
    return shlex.join(["python", "-m", f"ste.{name}", *overrides, *given])
