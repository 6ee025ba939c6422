"""A sweep against single commands: `python -m benchmarks.sweeping`.

64 LSTM trainings of 20 epochs on the seed document's 35 rows, all tracked: two optimizers, four widths and eight
learning rates. The yardstick is `python -m ste.train` with the same settings, timed a few times in the same run
between and around the sweeps, and counted 64 times.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

RUN = ("model=lstm", "data=seed", "trainer.max_epochs=20", "fit.patience=null", "trainer.progress=false")
SWEPT = (
    "optimizer=adam,rmsprop",
    "model.hidden_size=16,32,64,128",
    "optimizer.lr=1e-4,3e-4,1e-3,2e-3,3e-3,5e-3,1e-2,2e-2",
)
JOBS = 64
LAUNCHERS = ("fork", "joblib", "basic")


def seconds(folder: Path, *arguments: str) -> float:
    """Wall time of a training command.

    Raises:
        SystemExit: it failed; what it said is shown.
    """
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "ste.train", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return time.perf_counter() - began


def finished(folder: Path) -> int:
    """Trials of the latest sweep that are FINISHED in the store with all their figures."""
    from ste.config import TrackingSettings
    from ste.tracking.run_info import SWEEP_TAG
    from ste.tracking.store import open_store
    from ste.tracking.sweep_runs import find_trials_of

    client = open_store(TrackingSettings(), folder / "outputs")
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    parent = client.search_runs(ids, f"tags.{SWEEP_TAG} != ''", order_by=["attributes.start_time DESC"])[0]
    found = find_trials_of(client, parent.info.run_id).values()
    return sum(run.status == "FINISHED" and "final_validation/log_loss" in run.metrics for run in found)


def main(arguments: Sequence[str] | None = None) -> None:
    """Time both, print the ratios."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sweeping", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--launchers", nargs="+", default=["fork"], choices=LAUNCHERS)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seconds(folder, *RUN)  # makes the store and the tables
        single = [seconds(folder, *RUN)]
        rows = []
        for launcher in given.launchers:
            taken = seconds(folder, "-m", *RUN, *SWEPT, f"hydra/launcher={launcher}")
            rows.append((launcher, taken, finished(folder)))
            single.append(seconds(folder, *RUN))
        each = statistics.mean(single)
        print(f"one training command: {each:.1f} s (mean of {len(single)}); {JOBS} of them: {JOBS * each:.0f} s")
        print(f"{'launcher':<10}{'sweep, s':>10}{'FINISHED':>10}{'times faster':>14}")
        for launcher, taken, complete in rows:
            print(f"{launcher:<10}{taken:>10.1f}{complete:>7}/{JOBS}{JOBS * each / taken:>14.1f}")


if __name__ == "__main__":
    main()
