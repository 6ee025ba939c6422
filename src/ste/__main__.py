"""List the commands: `python -m ste`."""

import ast
import difflib
import shlex
import sys
from pathlib import Path

from ste import __version__

COMMANDS = (
    *("generate", "inspect", "train", "evaluate", "compare", "ensemble", "report", "audit", "reproduce", "ui"),
    *("export", "predict", "serve", "live", "monitor", "fetch", "judge", "new", "check"),
)


def summary(command: str) -> str:
    """Return the first line of a command's docstring up to its colon; nothing is imported for it."""
    source = (Path(__file__).parent / f"{command}.py").read_text(encoding="utf-8")
    docstring = ast.get_docstring(ast.parse(source)) or ""
    return docstring.split("\n", 1)[0].split(": `", 1)[0].rstrip(".")


def main() -> None:
    """Print each command with one line on what it does, or with `--version` the version."""
    if "--version" in sys.argv[1:]:
        print(f"ste {__version__}")
        return
    if sys.argv[1:]:
        command = sys.argv[1].removeprefix("ste.")
        near = difflib.get_close_matches(command, COMMANDS, n=1) or ["train"]
        typed = shlex.join(["python", "-m", f"ste.{near[0]}", *sys.argv[2:]])
        print(f"error: {sys.argv[1]}: each command is a module. Try {typed}.", file=sys.stderr)
        sys.exit(2)
    print("python -m ste.COMMAND --help lists the settings of a command.\n")
    for command in COMMANDS:
        print(f"  ste.{command:<10} {summary(command)}")


if __name__ == "__main__":
    main()
