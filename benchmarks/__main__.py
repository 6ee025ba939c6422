"""The whole benchmark: `python -m benchmarks`, or `make bench`.

Each part runs in a process of its own, one after the other, and tells its figures as it knows them. They are ratios
against a yardstick that the same process measured in turns with ours, medians over rounds, so that a slow machine or a
slow minute falls on both sides. How busy the machine was stands in the JSON file, before and after each part.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.part import ALONE, PARTS
from benchmarks.report import Part, Report, load, machine, markdown, print_head, print_part, print_summary


def measured(name: str, quick: bool) -> Part:
    """One part; its figures and, where it broke, the end of what it said."""
    command = [sys.executable, "-m", "benchmarks.part", name, *(["--quick"] if quick else [])]
    began, busy = time.perf_counter(), load()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    return Part(
        name=name,
        figures=[Figure(**json.loads(line)) for line in lines],
        seconds=time.perf_counter() - began,
        load=(busy, load()),
        fault=None if done.returncode == 0 else "\n".join(done.stderr.strip().splitlines()[-12:]),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the parts, print the table, write it; exit code 1 if a part broke, whatever the figures are."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "parts",
        nargs="*",
        metavar="PART",
        help=f"some of {', '.join((*PARTS, *ALONE))}; none is the first {len(PARTS)}",
    )
    parser.add_argument("--quick", action="store_true", help="fewer cases and rounds: two minutes, not ten")
    parser.add_argument("--json", type=Path, default=Path("outputs/bench.json"), help="figures, machine and versions")
    parser.add_argument("--markdown", type=Path, default=None, help="the table as a page")
    given = parser.parse_args(arguments)
    unknown = [name for name in given.parts if name not in (*PARTS, *ALONE)]
    if unknown:
        parser.error(f"{unknown[0]}: no such part. Expected some of {', '.join((*PARTS, *ALONE))}.")
    report = Report(machine=machine(), quick=given.quick, parts=[])
    print_head(report)
    given.json.parent.mkdir(parents=True, exist_ok=True)
    for name in given.parts or PARTS:
        report.parts.append(measured(name, given.quick))
        print_part(report.parts[-1])
        # Now: minutes of work must not hang on the next part.
        given.json.write_text(json.dumps(report.plain(), indent=1) + "\n")
    print_summary(report)
    if given.markdown is not None:
        given.markdown.write_text(markdown(report))
    sys.exit(1 if any(part.fault for part in report.parts) else 0)


if __name__ == "__main__":
    main()
