"""Print the comparison: `python -m benchmarks.peers [--quick]`."""

import argparse
import sys

from benchmarks.peers import figures
from ste.errors import SteError


def main() -> None:
    """A line for each figure, and what it was measured under."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small tables and a single round")
    given = parser.parse_args()
    try:
        for figure in figures(given.quick):
            target = "" if figure.target is None else f"  (to reach: {figure.target:g})"
            print(f"{figure.case}, {figure.measure}: {figure.ours:,.4g}; {figure.against} {figure.yardstick:,.4g}")
            print(f"    ratio {figure.ratio:.2f}, {figure.better} is better{target}. {figure.note}", flush=True)
    except SteError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
