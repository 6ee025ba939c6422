"""Error rates of the verdict (docs/trust.md): `python -m studies.verdicts`.

Each seed generates a synthetic market, trains on it and judges the test split, through the pipeline of
`python -m ste.train`:

    python -m studies.verdicts --signal 0      size: better than guessing in at most 5 % of 200 markets without signal
    python -m studies.verdicts --signal 0.4    power: better than guessing in at least 95 % of 200 markets
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

MAX_FALSE = 0.05
MIN_FOUND = 0.95
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Trial:
    """One synthetic market to judge a model on.

    Attributes:
        seed: of the market, the weights and the batches.
        signal: of the market; 0 is no signal.
        model: a file of `conf/model/`.
        overrides: more settings.
    """

    seed: int
    signal: float
    model: str
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """The verdict and its corrected p-values; None where there is no baseline."""

    seed: int
    word: str
    guessing_p: float | None
    best_p: float | None


def run_trial(trial: Trial) -> Outcome:
    """Generate the market, train and judge in a temporary folder."""
    from ste.config import TrainSettings
    from ste.config.load import compose_command, load_settings, to_dict
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
        config = to_dict(compose_command("train", overrides))
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
    """Text with the counts and exact 95 % intervals, and whether they meet the target.

    Args:
        outcomes: of all seeds.
        signal: of the markets: at 0 `better` is an error, above 0 it is correct.
    """
    words = Counter(outcome.word for outcome in outcomes)
    best, guessing = words["better"], words["better"] + words["better than guessing"]
    n = len(outcomes)
    lines = [f"{word:<22} {_fraction(count, n)}" for word, count in words.most_common()]
    lines += [
        f"{'level: every baseline':<22} {_fraction(best, n)}",
        f"{'level: guessing':<22} {_fraction(guessing, n)}",
    ]
    holds = guessing <= MAX_FALSE * n if signal == 0 else guessing >= MIN_FOUND * n
    target = f"at most {MAX_FALSE:.0%}" if signal == 0 else f"at least {MIN_FOUND:.0%}"
    lines.append(f"better of any kind in {target} of {n} markets at signal {signal:g}: {'yes' if holds else 'NO'}")
    return "\n".join(lines), holds


def _fraction(count: int, n: int) -> str:
    interval = binomtest(count, n).proportion_ci(method="exact")
    return f"{count:>4} of {n}  {count / n:6.1%}  [{interval.low:.1%}, {interval.high:.1%}]"


def study(trials: Sequence[Trial], jobs: int) -> Iterable[Outcome]:
    """Yield the outcomes in the order of the trials, computed by several processes of one thread each."""
    os.environ.update(dict.fromkeys(_THREADS, "1"))  # the workers read them when they load torch
    with get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap(run_trial, trials)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study; 0 if the target is met, else 1."""
    parser = argparse.ArgumentParser(prog="python -m studies.verdicts", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, default=200, help="number of markets")
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--signal", type=float, default=0.0, help="of the markets; 0 is no signal")
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
