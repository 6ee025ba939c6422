"""Break one rule at a time and run the fast tests that have to notice: `python -m studies.mutations [NAME...]`.

Each mutation changes one line of a copy of the source. A mutation that the tests let pass is listed as SURVIVED, and
the exit code is then 1. Run it after a change of what a mutation touches, or of the tests.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Mutation:
    """One broken rule.

    Attributes:
        name: of the mutation.
        file: below `src/ste`.
        before: text of the rule; it stands in the file exactly once.
        after: text that breaks it.
        tests: that have to notice, one of which has to fail: `file` without `tests/test_` and `.py`, or `file::test`.
    """

    name: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]


MUTATIONS = (
    Mutation(
        "purge off by one",
        "data/splits.py",
        "(period + purge if reach is None else reach) < later.min()",
        "(period + purge if reach is None else reach) <= later.min()",
        ("data_laws::test_the_label_of_a_usable_row_ends_before_the_next_split",),
    ),
    Mutation(
        "scaler fitted on validation",
        "data/datamodule.py",
        'train = self.datasets["train"]\n        index = evenly_spaced',
        'train = self.datasets["validation"]\n        index = evenly_spaced',
        ("data_laws::test_scalers_see_training_rows_alone",),
    ),
    Mutation(
        "inverted class weights",
        "experiment/model_setup.py",
        "(counts.sum() / (len(counts) * counts))",
        "(counts * len(counts) / counts.sum())",
        ("training::test_rare_classes_weigh_more",),
    ),
    Mutation(
        "macro joined by reference date",
        "features/macro.py",
        'macro["release_date"].to_numpy()',
        'macro["release_date"].to_numpy() - np.timedelta64(31, "D")',
        ("data_laws::test_a_macro_value_is_used_from_its_release_date_on",),
    ),
    Mutation(
        "window across tickers",
        "data/windows.py",
        "(ticker[1:] != ticker[:-1]) | (np.diff(period) != 1)",
        "np.diff(period) != 1",
        ("data_laws::test_a_ticker_that_starts_where_the_one_before_ends_starts_a_new_window",),
    ),
    Mutation(
        "bootstrap over rows",
        "evaluation/scored_rows.py",
        "np.unique(predictions.periods, return_inverse=True)",
        "np.unique(np.arange(len(frame)), return_inverse=True)",
        ("scores::test_the_order_of_rows_changes_nothing",),
    ),
    Mutation(
        "verdict without correction",
        "evaluation/significance.py",
        "sidak(gains[metric].p, trials * len(tested))",
        "gains[metric].p",
        ("verdict::test_the_p_value_is_the_largest_over_the_baselines_of_the_clearest_figure",),
    ),
    Mutation(
        "uncounted trials",
        "tracking/earlier_trials.py",
        "count = len(keys.union(recorded))",
        "count = 1",
        ("trials::test_trials_are_the_runs_on_the_same_data_with_their_portfolios",),
    ),
    Mutation(
        "resume without optimizer state",
        "training/module.py",
        'checkpoint["history"] = self.history',
        'checkpoint["history"], checkpoint["optimizer_states"] = self.history, []',
        ("training::test_a_resumed_fit_ends_like_an_undisturbed_one",),
    ),
    Mutation(
        "resume without random stream",
        "training/module.py",
        'torch.manual_seed(self.epoch_seed(int(self.hparams["seed"])))',
        'self.epoch_seed(int(self.hparams["seed"]))',
        ("training::test_a_resumed_fit_ends_like_an_undisturbed_one",),
    ),
    Mutation(
        "ONNX without scaling",
        "inference/export/graph.py",
        "return chain(model.representation, *parts).eval()",
        "return chain(nn.Identity(), *parts).eval()",
        ("onnx::test_every_net_predicts_the_same_in_a_batch_of_any_size[SimpleLSTM-stationary]",),
    ),
    Mutation(
        "live figures one week late",
        "streaming/feature_stream.py",
        "self._close_release(event, self._first_open_day())",
        "self._close_release(event, self._first_open_day() + 7)",
        ("streaming_features::test_a_late_figure_stands_from_the_next_close_on_unless_a_newer_one_does",),
    ),
    Mutation(
        "equal replica seeds",
        "seed_ensembles/replica_module.py",
        "            torch.manual_seed(seed)\n",
        "            torch.manual_seed(seeds[0])\n",
        ("replicas::test_a_replica_is_the_run_of_its_seed[dual_tower]",),
    ),
    Mutation(
        "gradients not averaged over processes",
        "training/module.py",
        "        for config in self.trainer.lr_scheduler_configs:",
        '        getattr(self.trainer.strategy, "model", self).require_backward_grad_sync = False\n'
        "        for config in self.trainer.lr_scheduler_configs:",
        ("distributed::test_gradients_are_averaged_over_processes",),
    ),
    Mutation(
        "horizon ignored",
        "labels/targets.py",
        "len(rows)), period, horizon)",
        "len(rows)), period, 1)",
        ("labels::test_the_horizon_counts_weeks_and_the_last_rows_are_dropped_never_filled",),
    ),
    Mutation(
        "costs ignored",
        "evaluation/portfolio/ledger.py",
        "(moved * self._costs)",
        "(moved * 0.0)",
        ("trading::test_two_periods_by_hand_with_costs_and_drift", "ledger::test_ten_weeks_in_dollars_to_nine_digits"),
    ),
    Mutation(
        "entry at the row's own bar",
        "data/build/trading_returns.py",
        "after = np.minimum(at + 1, len(bars) - 1)",
        "after = at",
        ("execution::test_returns_are_those_from_the_next_bar_to_the_bar_after_the_period[1-weekly]",),
    ),
    Mutation(
        "portfolio knows the coming return",
        "evaluation/portfolio/past_returns.py",
        "now - self.horizon",
        "now",
        ("trading::test_the_past_of_a_period_has_ended_by_its_close",),
    ),
    Mutation(
        "epoch chosen on test",
        "data/datamodule.py",
        'return self._in_order(self.scored["validation"], view, whole_dates)',
        'return self._in_order(self.scored.get("test", self.scored["validation"]), view, whole_dates)',
        ("training::test_the_epoch_is_selected_on_validation_alone",),
    ),
    Mutation(
        "attention across dates",
        "models/market_attention.py",
        'score.masked_fill(~same, float("-inf")).softmax(dim=-1)',
        "(score + 0.0 * same).softmax(dim=-1)",
        ("market_models::test_the_tickers_of_a_date_attend_to_each_other_and_to_no_other_date",),
    ),
    Mutation(
        "a date without the tickers that have no label",
        "data/window_dataset.py",
        "rows = (self.store.history >= self.needed).numpy() &",
        "rows = ((self.store.history >= self.needed) & (self.store.label >= 0)).numpy() &",
        ("market_models::test_a_date_includes_the_tickers_without_a_label",),
    ),
    Mutation(
        "requests as one market",
        "serving/batcher.py",
        "[code + offset for code, offset in zip(codes, before, strict=True)]",
        "[code + 0 * offset for code, offset in zip(codes, before, strict=True)]",
        ("market_serving::test_requests_are_markets_of_their_own",),
    ),
)


def failing_test(mutation: Mutation, folder: Path) -> str | None:
    """Apply a mutation to a copy of the source and return the first test that fails, or None.

    Args:
        mutation: to apply.
        folder: empty, for the copy.

    Raises:
        ValueError: the text of the rule does not stand in its file exactly once.
    """
    for name in ("src", "conf"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / "src" / "ste" / mutation.file
    text = path.read_text()
    if text.count(mutation.before) != 1:
        raise ValueError(
            f"{mutation.name}: {mutation.file} holds its line {text.count(mutation.before)} times, not once"
        )
    path.write_text(text.replace(mutation.before, mutation.after))
    tests = [
        f"tests/test_{file}.py{separator}{test}"
        for file, separator, test in (name.partition("::") for name in mutation.tests)
    ]
    environment = os.environ | {"PYTHONPATH": str(folder / "src")}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--tb=no", *tests]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    failed = [line.split()[1] for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if not failed:
        raise ValueError(
            f"{mutation.name}: pytest ended with {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    return failed[0]


def main() -> None:
    """Apply every mutation, or those named, and print what caught each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="mutations to apply; all of them without any")
    names = parser.parse_args().names
    survived = 0
    for mutation in MUTATIONS:
        if names and mutation.name not in names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            caught = failing_test(mutation, Path(folder))
        survived += caught is None
        print(f"{mutation.name:<40} {caught or 'SURVIVED'}", flush=True)
    sys.exit(1 if survived else 0)


if __name__ == "__main__":
    main()
