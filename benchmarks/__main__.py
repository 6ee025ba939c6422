"""Run the benchmark: `python -m benchmarks`, `make bench` or `make bench-quick`.

Each part runs in its own process, one after the other. A line appears for each measurement as soon as it is known, and
the part's table when it ends. Ratios compare STE with a reference that was measured in the same process in turns, so a
slow machine or a slow minute affects both.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measurement import Measurement
from benchmarks.part import OPTIONAL_PARTS, PARTS, QUICK_PARTS
from benchmarks.report import (
    BenchmarkReport,
    PartResult,
    load_average,
    machine,
    markdown,
    print_head,
    print_part,
    print_progress,
    print_summary,
)


def run_part(name: str, quick: bool) -> PartResult:
    """Run a part in its own process and print a line for each measurement."""
    command = [sys.executable, "-m", "benchmarks.part", name, *(["--quick"] if quick else [])]
    start, load_before = time.perf_counter(), load_average()
    measurements = []
    with tempfile.TemporaryFile("w+") as errors:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("{"):
                    measurements.append(Measurement(**json.loads(line)))
                    print_progress(measurements[-1], time.perf_counter() - start)
        errors.seek(0)
        last_lines = "\n".join(errors.read().strip().splitlines()[-12:])
    return PartResult(
        name=name,
        measurements=measurements,
        seconds=time.perf_counter() - start,
        load=(load_before, load_average()),
        error=(last_lines or f"ended with code {process.returncode}") if process.returncode else None,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the parts, print and write the table; exit code 1 if a part failed, whatever the measurements are."""
    every = (*PARTS, *OPTIONAL_PARTS)
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "parts",
        nargs="*",
        metavar="PART",
        help=f"some of {', '.join(every)}; default: all but {', '.join(OPTIONAL_PARTS)}",
    )
    parser.add_argument(
        "--quick", action="store_true", help=f"{', '.join(QUICK_PARTS)} with fewer cases and rounds: one minute"
    )
    parser.add_argument("--json", type=Path, default=Path("outputs/bench.json"), help="file for the results")
    parser.add_argument("--markdown", type=Path, default=None, help="file for the table as a page")
    chosen = parser.parse_args(arguments)
    unknown = [name for name in chosen.parts if name not in every]
    if unknown:
        parser.error(f"{unknown[0]}: no such part. Expected some of {', '.join(every)}.")
    report = BenchmarkReport(machine=machine(), quick=chosen.quick, parts=[])
    print_head(report)
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    for name in chosen.parts or (QUICK_PARTS if chosen.quick else PARTS):
        report.parts.append(run_part(name, chosen.quick))
        print_part(report.parts[-1])
        # After each part, in case a later one fails.
        chosen.json.write_text(json.dumps(report.to_dict(), indent=1) + "\n")
    print_summary(report)
    if chosen.markdown is not None:
        chosen.markdown.write_text(markdown(report))
    sys.exit(1 if any(part.error for part in report.parts) else 0)


if __name__ == "__main__":
    main()
