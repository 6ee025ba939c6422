"""How often a model that is what it was is called worse, and one that has lost its skill is: `studies.worse`.

In each world a classifier is tested on some weeks and used on the next. As it is, every "worse" is false. Then its
predictions are dealt out among the rows at random, so that it knows nothing, though it says the same.
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


def said(world: Setup, rows: np.ndarray, deal: np.random.Generator | None = None) -> Predictions:
    """The classifier's predictions of these rows, or the same dealt out at random."""
    table = world.table[rows]
    chances = world.chances(table)
    if deal is not None:
        chances = chances[deal.permutation(len(chances))]
    frame = row_columns(table[["date", "ticker"]], "test", table[DIRECTION].to_numpy(), table[RETURN].to_numpy())
    return Predictions(frame.assign(**dict(zip(probability_names(CLASSES), chances.T, strict=True))), CLASSES)


def main() -> None:
    """Draw, score, compare, count, print."""
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
        f"{args.worlds} worlds of {args.tickers} tickers, test of {args.held} weeks; 95 % intervals (Clopper-Pearson)"
    )
    print("weeks  blocks   the model    called worse  interval")
    for weeks in args.weeks:
        worse: Counter[tuple[str, str]] = Counter()
        for seed in range(args.seed, args.seed + args.worlds):
            world = setup(seed, years=args.years, held=args.held, weeks=weeks, tickers=args.tickers)
            for blocks in ("horizon", "auto"):
                then = score(said(world, ~world.train & ~world.live), resamples=args.resamples, blocks=blocks)
                for state, deal in (("as it was", None), ("knows nothing", np.random.default_rng(seed))):
                    now = score(said(world, world.live, deal), resamples=args.resamples, blocks=blocks)
                    worse[blocks, state] += any(one.result == WORSE for one in compare_metrics(now, then.figures))
        for (blocks, state), count in worse.items():
            low, high = binomial_interval(count, args.worlds)
            print(
                f"{weeks:5}  {blocks:7}  {state:13}  {count / args.worlds:10.1%}  [{low:.1%}, {high:.1%}]", flush=True
            )


if __name__ == "__main__":
    main()
