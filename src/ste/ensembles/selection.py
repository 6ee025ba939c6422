"""Select the tracked runs of an ensemble: the best ones, the children of a sweep, or named ones."""

from ste.errors import RunError
from ste.tracking.run_info import DIGEST_TAG, ENSEMBLE_TAG, PARENT_TAG, SWEEP_TAG, RunInfo, search
from ste.tracking.run_lookup import RANKED_BY, experiment_name, find_experiment, find_run, rank_runs
from ste.tracking.run_protocol import RunStore


def find_members(client: RunStore, wanted: str | list[str], experiment: str | None = None) -> list[RunInfo]:
    """Find the runs to combine.

    `best:N` selects the N finished training runs with the lowest validation log-loss among those on the same data and
    validation rows as the latest one; `children:RUN_ID` selects every finished run of a sweep. The test split selects
    nothing.

    Args:
        client: of the store.
        wanted: `best:N`, `children:RUN_ID`, or run ids.
        experiment: its name; None is that of the latest run.

    Raises:
        RunError: there are too few, or one cannot be a member.
    """
    if isinstance(wanted, list):
        runs = [find_run(client, one, experiment, key="runs", sweep=True) for one in wanted]
    elif wanted.startswith("best:"):
        runs = _best(client, int(wanted.removeprefix("best:")), experiment)
    else:
        runs = _children(client, wanted.removeprefix("children:"))
    _check(client, runs)
    return runs


def _best(client: RunStore, count: int, experiment: str | None) -> list[RunInfo]:
    chosen = find_experiment(client, experiment)
    same = [run for run in rank_runs(client, chosen.experiment_id) if ENSEMBLE_TAG not in run.tags]
    if len(same) < count:
        hint = f"Try runs=best:{len(same)}" if len(same) > 1 else "Train more models"
        raise RunError(
            f"runs=best:{count}: {len(same)} finished training {'run' if len(same) == 1 else 'runs'} of experiment "
            f"{chosen.name} have the latest one's data and validation rows. {hint}, or name runs=[ID,ID]."
        )
    return same[:count]


def _children(client: RunStore, parent: str) -> list[RunInfo]:
    sweep = find_run(client, parent, key="runs", sweep=True)
    children = search(client, [sweep.experiment], f"tags.`{PARENT_TAG}` = '{sweep.id}'")
    finished = [run for run in children if run.status == "FINISHED" and RANKED_BY in run.metrics]
    if len(finished) < 2:
        raise RunError(
            f"runs=children:{parent}: that run has {len(finished)} finished training runs below it. Expected a sweep "
            "with two or more. Try runs=best:5."
        )
    return sorted(finished, key=lambda run: (run.metrics[RANKED_BY], run.started))


def _check(client: RunStore, runs: list[RunInfo]) -> None:
    first = runs[0]
    for i, run in enumerate(runs):
        if run.status != "FINISHED":
            raise RunError(f"run {run.id}: it is {run.status}. Expected members that are FINISHED.")
        if ENSEMBLE_TAG in run.tags:
            raise RunError(f"run {run.id}: it is an ensemble. Name its members: {run.tags[ENSEMBLE_TAG]}.")
        if SWEEP_TAG in run.tags:
            raise RunError(f"run {run.id}: it is a sweep. Try runs=children:{run.id}.")
        if run.id in [other.id for other in runs[:i]]:
            raise RunError(f"run {run.id}: it is named twice. Expected different runs.")
        own, expected = (one.tags.get(DIGEST_TAG, "unknown") for one in (run, first))
        if own != expected:
            raise RunError(
                f"run {run.id}: its data has digest {own}, run {first.id}'s {expected}. Members are trained on the "
                "same tables."
            )
        if run.experiment != first.experiment:
            names = [experiment_name(client, one) for one in (run, first)]
            raise RunError(
                f"run {run.id}: it is of experiment {names[0]}, run {first.id} of {names[1]}. Trials are counted "
                "within an experiment: train the members in one."
            )
