"""Run one part of the benchmark in its own process, JSON lines out: `python -m benchmarks.part NAME [--quick]`."""

import argparse
import importlib
import json
from dataclasses import asdict

PARTS = ("training", "start", "data", "scale", "distributed", "gpu")
"""What `python -m benchmarks` runs."""

ALONE = ("peers",)
"""Parts that need more than the package, and run where they are asked for."""


def main() -> None:
    """Print the part's figures, each as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=(*PARTS, *ALONE))
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    module = importlib.import_module(f"benchmarks.{given.part}")
    for figure in module.figures(given.quick):
        print(json.dumps(asdict(figure)), flush=True)


if __name__ == "__main__":
    main()
