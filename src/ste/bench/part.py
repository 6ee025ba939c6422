"""One part of the benchmark in a process of its own: `python -m ste.bench.part NAME [--quick]`, a line of JSON each."""

import argparse
import importlib
import json
from dataclasses import asdict

PARTS = ("training", "start", "data", "scale", "distributed", "gpu")
"""What `python -m ste.bench` runs."""

ALONE = ("peers",)
"""Parts that need more than the package, and run where they are asked for."""


def main() -> None:
    """Print the part's figures, each as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=(*PARTS, *ALONE))
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    module = importlib.import_module(f"ste.bench.{given.part}")
    for figure in module.figures(given.quick):
        print(json.dumps(asdict(figure)), flush=True)


if __name__ == "__main__":
    main()
