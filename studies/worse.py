"""Error rates of the comparison of a model in use with its test (docs/monitor.md): `python -m studies.worse`.

In each synthetic market a classifier is tested on some weeks and used on the next. Unchanged, every "worse" is false.
Then its predictions are permuted among the rows, so that it has the same distribution and no skill.
"""

import argparse
from collections import Counter

import numpy as np

from ste.evaluation.bootstrap import binomial_interval
from ste.evaluation.predictions import Predictions, row_columns
from ste.evaluation.scoring import score
from ste.monitoring.track_record import WORSE, compare_metrics
from ste.schema import DIRECTION, RETURN, probability_names
from studies.drift import CLASSES, Setup, setup


def predict(world: Setup, rows: np.ndarray, permute: np.random.Generator | None = None) -> Predictions:
    """Predictions of the classifier for these rows, permuted among them if a generator is given."""
    table = world.table[rows]
    probs = world.probs(table)
    if permute is not None:
        probs = probs[permute.permutation(len(probs))]
    frame = row_columns(table[["date", "ticker"]], "test", table[DIRECTION].to_numpy(), table[RETURN].to_numpy())
    return Predictions(frame.assign(**dict(zip(probability_names(CLASSES), probs.T, strict=True))), CLASSES)


def main() -> None:
    """Generate markets, compare scores, print the error rates."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", maxsplit=1)[0])
    parser.add_argument("--worlds", type=int, default=200)
    parser.add_argument("--years", type=int, default=10)
    parser.add_argument("--held", type=int, default=104, help="weeks of the test")
    parser.add_argument("--weeks", type=int, nargs="+", default=[26, 52, 104])
    parser.add_argument("--tickers", type=int, default=7)
    parser.add_argument("--resamples", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    print(
        f"{args.worlds} markets of {args.tickers} tickers, test of {args.held} weeks; 95 % intervals (Clopper-Pearson)"
    )
    print("weeks  blocks   the model    called worse  interval")
    for weeks in args.weeks:
        worse: Counter[tuple[str, str]] = Counter()
        for seed in range(args.seed, args.seed + args.worlds):
            world = setup(seed, years=args.years, held=args.held, weeks=weeks, tickers=args.tickers)
            for blocks in ("horizon", "auto"):
                then = score(predict(world, ~world.train & ~world.live), resamples=args.resamples, blocks=blocks)
                for state, permute in (("unchanged", None), ("no skill", np.random.default_rng(seed))):
                    now = score(predict(world, world.live, permute), resamples=args.resamples, blocks=blocks)
                    worse[blocks, state] += any(one.result == WORSE for one in compare_metrics(now, then.figures))
        for (blocks, state), count in worse.items():
            low, high = binomial_interval(count, args.worlds)
            print(
                f"{weeks:5}  {blocks:7}  {state:13}  {count / args.worlds:10.1%}  [{low:.1%}, {high:.1%}]", flush=True
            )


if __name__ == "__main__":
    main()
