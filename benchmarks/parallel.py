"""Whether many processes can track at once: `python -m benchmarks.parallel`.

Starts a sweep of short runs over several processes on a new SQLite store, then counts: every run must be
FINISHED, with every epoch of its curves and its final figures.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ste.config import TrackingSettings
from ste.tracking.curves import GROUP
from ste.tracking.run_info import TRIAL_TAG, search
from ste.tracking.store import open_store

_FIGURES = ("monitored", "final_train/accuracy", "final_validation/accuracy", "fit_seconds")


def count(folder: Path, epochs: int) -> tuple[int, int, int]:
    """Runs of trials in the folder's store, those that are FINISHED, and those whose metrics are complete."""
    client = open_store(TrackingSettings(), folder / "outputs")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = [run for run in search(client, experiments, "") if TRIAL_TAG in run.tags]
    finished = [run for run in runs if run.status == "FINISHED"]
    whole = 0
    for run in finished:
        steps = {entry.step for entry in client.get_metric_history(run.id, f"{GROUP}/train_loss")}
        whole += steps == set(range(epochs)) and all(name in run.metrics for name in _FIGURES)
    return len(runs), len(finished), whole


def main() -> None:
    """Print what came of the runs; exit code 1 unless all are whole."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("overrides", nargs="*", help="of ste.train, such as tracking.uri=http://127.0.0.1:5000")
    chosen = parser.parse_args()
    command = [sys.executable, "-m", "ste.train", "-m", "hydra/launcher=joblib", "model=dual_tower", "data=seed"]
    command += [f"hydra.launcher.n_jobs={chosen.processes}", f"seed=range({chosen.runs})", "fit.patience=null"]
    command += [f"trainer.max_epochs={chosen.epochs}", *chosen.overrides]
    with tempfile.TemporaryDirectory() as name:
        began = time.perf_counter()
        done = subprocess.run(command, cwd=name, stdout=subprocess.DEVNULL, check=False)
        seconds = time.perf_counter() - began
        runs, finished, whole = count(Path(name), chosen.epochs)
    print(
        f"{chosen.runs} runs by {chosen.processes} processes in {seconds:.0f} s: {runs} in the store, "
        f"{finished} FINISHED, {whole} with complete metrics; exit code {done.returncode}"
    )
    sys.exit(0 if runs == whole == chosen.runs and done.returncode == 0 else 1)


if __name__ == "__main__":
    main()
