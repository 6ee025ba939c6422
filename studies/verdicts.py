"""How often the verdict says better: too often where there is nothing, often enough where there is something.

Each seed draws a world of its own, trains on it and judges the test split, all through the pipeline that
`python -m ste.train` uses:

    python -m studies.verdicts --signal 0      size: at most 5 % of 200 null worlds
    python -m studies.verdicts --signal 0.4    power: at least 95 % of 200 worlds
"""

import argparse
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from scipy.stats import binomtest

MOST_FALSE = 0.05
LEAST_FOUND = 0.95
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Trial:
    """One world to judge a model in.

    Attributes:
        seed: of the world, the weights and the batches.
        signal: of the world; 0 is the null world.
        model: a file of `conf/model/`.
        overrides: more settings.
    """

    seed: int
    signal: float
    model: str
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What the verdict said, and the corrected p-values it rests on; None where there was no baseline."""

    seed: int
    word: str
    guessing_p: float | None
    best_p: float | None


def run_trial(trial: Trial) -> Outcome:
    """Make the world, train and judge, leaving nothing behind."""
    from ste.config import TrainSettings
    from ste.config.load import compose_train, load_settings, to_dict
    from ste.experiment.run import train

    with tempfile.TemporaryDirectory(prefix="verdicts") as folder:
        overrides = [
            f"model={trial.model}",
            f"seed={trial.seed}",
            f"data.seed={trial.seed}",
            f"data.signal={trial.signal:g}",
            f"paths.data={folder}/data",
            f"paths.output={folder}/outputs",
            "tracking=off",
            "trainer.threads=1",
            "trainer.enable_progress_bar=false",
            *trial.overrides,
        ]
        config = to_dict(compose_train(overrides))
        result = train(load_settings(TrainSettings, config), config, Path(folder) / "run", f"seed {trial.seed}")
        assert result is not None  # one process trains
        verdict = result.verdict
    guessing, best = verdict.guessing, verdict.best
    return Outcome(
        seed=trial.seed,
        word=verdict.word,
        guessing_p=guessing.corrected if guessing else None,
        best_p=best.corrected if best else None,
    )


def summary(outcomes: Sequence[Outcome], signal: float) -> tuple[str, bool]:
    """The counts with exact 95 % intervals, in lines, and whether they keep the promise.

    Args:
        outcomes: of all seeds.
        signal: that they were made with: at 0 `better` is a mistake, above 0 it is what should be said.
    """
    words = Counter(outcome.word for outcome in outcomes)
    best, guessing = words["better"], words["better"] + words["better than guessing"]
    n = len(outcomes)
    lines = [f"{word:<22} {_share(count, n)}" for word, count in words.most_common()]
    lines += [f"{'level: every baseline':<22} {_share(best, n)}", f"{'level: guessing':<22} {_share(guessing, n)}"]
    holds = guessing <= MOST_FALSE * n if signal == 0 else guessing >= LEAST_FOUND * n
    promise = f"at most {MOST_FALSE:.0%}" if signal == 0 else f"at least {LEAST_FOUND:.0%}"
    lines.append(f"better of any kind in {promise} of {n} worlds at signal {signal:g}: {'yes' if holds else 'NO'}")
    return "\n".join(lines), holds


def _share(count: int, n: int) -> str:
    interval = binomtest(count, n).proportion_ci(method="exact")
    return f"{count:>4} of {n}  {count / n:6.1%}  [{interval.low:.1%}, {interval.high:.1%}]"


def study(trials: Sequence[Trial], jobs: int) -> Iterable[Outcome]:
    """Outcomes in the order of the trials, as they come, from several processes of one thread each."""
    os.environ.update(dict.fromkeys(_THREADS, "1"))  # read by the workers when they load torch
    with get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap(run_trial, trials)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study; 0 if the promise is kept, else 1."""
    parser = argparse.ArgumentParser(prog="python -m studies.verdicts", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, default=200, help="worlds to draw")
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--signal", type=float, default=0.0, help="of the worlds; 0 is the null world")
    parser.add_argument("--jobs", type=int, default=2, help="processes, of one thread each")
    parser.add_argument("--model", default="lstm", help="a file of conf/model/")
    parser.add_argument("overrides", nargs="*", help="more settings, as for ste.train")
    given = parser.parse_args(arguments)
    if given.seeds < 1 or given.jobs < 1:
        parser.error("--seeds and --jobs: expected 1 or more. Try --seeds 200 --jobs 2.")
    seeds = range(given.first, given.first + given.seeds)
    trials = [Trial(seed, given.signal, given.model, tuple(given.overrides)) for seed in seeds]
    outcomes = []
    for outcome in study(trials, given.jobs):
        outcomes.append(outcome)
        print(
            f"{len(outcomes):>4}/{len(trials)}  seed {outcome.seed:>4}  p over guessing {_p(outcome.guessing_p)}  "
            f"over all {_p(outcome.best_p)}  {outcome.word}",
            file=sys.stderr,
            flush=True,
        )
    text, holds = summary(outcomes, given.signal)
    print(text)
    return 0 if holds else 1


def _p(value: float | None) -> str:
    return "     -" if value is None else f"{value:.4f}"


if __name__ == "__main__":
    sys.exit(main())
