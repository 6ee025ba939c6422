"""Run one part of the benchmark in its own process: `python -m benchmarks.part NAME [--quick]`.

Prints each measurement as a line of JSON as soon as it is known.
"""

import argparse
import importlib
import json
import sys
from dataclasses import asdict

from ste.errors import SteError

PARTS = ("start", "training", "data", "files", "judge", "scale")
"""What `python -m benchmarks` runs."""

QUICK_PARTS = ("start", "training", "data", "files", "judge")
"""What `python -m benchmarks --quick` runs."""

OPTIONAL_PARTS = ("peers", "peers.features")
"""Parts that need more than the package and run only by name."""


def main() -> None:
    """Print the part's measurements; exit code 2 on an error of STE."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=(*PARTS, *OPTIONAL_PARTS))
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    module = importlib.import_module(f"benchmarks.{arguments.part}")
    try:
        for measurement in module.measure(arguments.quick):
            print(json.dumps(asdict(measurement)), flush=True)
    except SteError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
