"""The training benchmark: a reference that trains, workers that answer; nothing here is timed."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import training
from benchmarks.reference_loop import PreparedExamples, bare_loop, validate
from benchmarks.training import Case, fit_worker
from benchmarks.worker_process import WorkerProcess
from ste.experiment.run import train
from ste.models.dual_tower import DualTowerModel

WORKER = """
import sys
from benchmarks.worker_process import answer_requests

def answer(request):
    if request["word"] == "fail":
        sys.exit("it broke")
    print("chatter")
    return {"answer": request["word"]}

answer_requests(answer)
"""


def by_the_first_feature(n: int, seed: int) -> PreparedExamples:
    """Classes that follow from the first feature."""
    x = torch.randn((n, 21), generator=torch.Generator().manual_seed(seed))
    return PreparedExamples(x, torch.bucketize(x[:, 0].contiguous(), torch.tensor([-0.4, 0.4])))


def test_the_reference_trains():
    torch.manual_seed(0)
    net, held_out = DualTowerModel(), by_the_first_feature(500, 1)
    before = validate(net, held_out)
    bare_loop(net, by_the_first_feature(2000, 0), held_out, batch=64, epochs=6, lr=3e-3)
    accuracy, log_loss = validate(net, held_out)
    assert accuracy > 0.8 > before[0]
    assert log_loss < 0.6 < before[1]


def test_the_reference_visits_every_example_once_an_epoch():
    examples = PreparedExamples(torch.arange(10.0).unsqueeze(1), torch.zeros(10, dtype=torch.int64))
    seen: list[float] = []

    class Net(torch.nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if self.training:
                seen.extend(x.flatten().tolist())
            return super().forward(x)

    bare_loop(Net(1, 3), examples, examples, batch=4, epochs=2, lr=0.1)
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    assert seen[:10] != seen[10:]


def test_throughput_is_training_examples_a_second():
    class Worker:
        def __init__(self, *seconds: float) -> None:
            self.seconds = iter([9.0, *seconds])  # the first round does not count

        def request(self, **request: object) -> dict[str, object]:
            assert request["epochs"] == 2
            return {"examples": {"train": 500}, "seconds": next(self.seconds)}

    case = Case("lstm", 800, 8, 2, 1.3, threads=2)
    row = training.against_bare_loop(case, Worker(2.0, 4.0), Worker(4.0, 5.0), 2)  # type: ignore[arg-type]
    assert row.case == "SimpleLSTM, batch 800, 2 threads"
    np.testing.assert_allclose([row.ours, row.reference, row.ratio], [375.0, 225.0, 1.625])
    assert row.reached


def test_the_targets_are_those_that_were_agreed():
    targets = {(case.model, case.batch): case.target for case in training.CPU_CASES}
    assert targets == {
        **{("lstm", 8): 0.8, ("lstm", 64): 0.95, ("lstm", 256): 1.0, ("lstm", 800): 1.0, ("lstm", 4096): 1.0},
        **{("dual_tower", 8): 0.6, ("dual_tower", 64): 0.7, ("dual_tower", 800): 0.9},
    }
    assert all(case.target == targets[case.model, case.batch] for case in training.QUICK_CASES)


def test_a_worker_answers_and_a_failed_one_is_reported(tmp_path: Path):
    with WorkerProcess([sys.executable, "-c", WORKER], tmp_path / "log") as worker:
        assert [worker.request(word=word)["answer"] for word in ("a", "b")] == ["a", "b"]
        with pytest.raises(RuntimeError, match="ended with code 1:\nchatter\nchatter\nit broke"):
            worker.request(word="fail")


@pytest.mark.slow
def test_every_worker_trains_on_the_same_examples(tmp_path: Path):
    with fit_worker("ours", tmp_path) as ours, fit_worker("bare", tmp_path) as bare:
        for case in (Case("lstm", 256, 1, 1, 1.0), Case("dual_tower", 64, 1, 2, 1.0)):
            answers = [worker.request(overrides=case.overrides, epochs=case.epochs) for worker in (ours, bare)]
            assert [answer["examples"]["train"] for answer in answers] == [2067, 2067]
            assert all(answer["seconds"] > 0 for answer in answers)


@pytest.mark.slow
def test_scores_in_bf16_stay_within_the_interval_of_float32(small: Callable, folder: Path):
    accuracies, losses = [], []
    for precision in ("32-true", "bf16-mixed"):
        given = ("model=lstm", "data.tickers=10", "trainer.max_epochs=4", f"trainer.precision={precision}")
        settings, values = small(*given, "tracking=off")
        result = train(settings, values, folder / precision, precision)
        assert result is not None
        accuracies.append(result.scores["test"].figures["accuracy"])
        losses.append(result.scores["test"].metrics["log_loss"])
    full, half = accuracies
    assert losses[0] != losses[1]
    assert full.low <= half.value <= full.high
    assert half.low <= full.value <= half.high
