"""The training benchmark: yardsticks that learn, sides that answer; nothing here is timed."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import gpu, training
from benchmarks.loops import Examples, bare_loop, plain_script, validate
from benchmarks.sides import Answer, Request, Side, processes
from ste.models import DualTowerModel


def told_by_the_first(n: int, seed: int) -> Examples:
    """Classes that the first feature tells."""
    x = torch.randn((n, 21), generator=torch.Generator().manual_seed(seed))
    return Examples(x, torch.bucketize(x[:, 0].contiguous(), torch.tensor([-0.4, 0.4])))


@pytest.mark.parametrize("loop", [bare_loop, plain_script])
def test_a_yardstick_learns(loop):
    torch.manual_seed(0)
    net, held_out = DualTowerModel(), told_by_the_first(500, 1)
    before = validate(net, held_out)
    loop(net, told_by_the_first(2000, 0), held_out, batch=64, epochs=6, lr=3e-3)
    accuracy, log_loss = validate(net, held_out)
    assert accuracy > 0.8 > before[0]
    assert log_loss < 0.6 < before[1]


def test_yardsticks_visit_every_example_once_an_epoch():
    examples = Examples(torch.arange(10.0).unsqueeze(1), torch.zeros(10, dtype=torch.int64))
    seen: list[float] = []

    class Net(torch.nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if self.training:
                seen.extend(x.flatten().tolist())
            return super().forward(x)

    for loop in (bare_loop, plain_script):
        seen.clear()
        loop(Net(1, 3), examples, examples, batch=4, epochs=2, lr=0.1)
        assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
        assert seen[:10] != seen[10:]


class Spoken:
    """A side that says in which order it was asked."""

    def __init__(self, name: str, said: list[str]) -> None:
        self.name, self.said = name, said

    def ask(self, request: Request) -> Answer:
        self.said.append(self.name)
        return Answer(100, float(len(self.said)), 1.0)


def test_each_side_is_first_in_turn_and_the_round_before_does_not_count():
    said: list[str] = []
    request = Request("lstm", 64, 1, 2, 1)
    answers = training.in_turns({name: (Spoken(name, said), request) for name in "abc"}, 2)
    assert "".join(said) == "abc" + "bca" + "cab"
    assert [[one.seconds for one in answers[name]] for name in "abc"] == [[6, 8], [4, 9], [5, 7]]


def test_a_figure_is_examples_a_second():
    request = Request("lstm", 800, 2, 8, 1, "bf16-mixed")
    ours, bare = [Answer(1000, 2.0, 0.1), Answer(1000, 4.0, 0.1)], [Answer(1000, 4.0, 0.1), Answer(1000, 5.0, 0.1)]
    figure = training.throughput("training", request, ours, bare, "loop", 1.3, "")
    assert figure.case == "SimpleLSTM, batch 800, 2 threads, bf16-mixed"
    np.testing.assert_allclose([figure.ours, figure.yardstick, figure.ratio], [375.0, 225.0, 1.625])
    assert figure.reached


def test_without_a_card_the_gpu_part_has_nothing_to_say(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert list(gpu.figures(quick=True)) == []


def test_a_side_that_ends_is_told(tmp_path: Path):
    side = Side("nobody", tmp_path, dict(os.environ))
    with pytest.raises(RuntimeError, match="nobody: ended with 2"):
        side.ask(Request("lstm", 64, 1, 1, 1))
    side.close()


@pytest.mark.slow
def test_every_side_trains_on_the_same_examples(tmp_path: Path):
    with processes(("ours", "bare", "script"), tmp_path) as sides:
        for request in (Request("lstm", 256, 1, 1, 1), Request("dual_tower", 64, 1, 1, 2)):
            answers = [side.ask(request) for side in sides.values()]
            assert {answer.examples for answer in answers} == {2067 * request.epochs}
            assert all(answer.seconds > 0 and answer.cpu > 0 for answer in answers)


@pytest.mark.slow
def test_scores_in_bf16_stay_within_the_interval_of_float32():
    full, half = training.accuracy_in("32-true"), training.accuracy_in("bf16-mixed")
    assert full != half
    assert full[1] <= half[0] <= full[2]
    assert half[1] <= full[0] <= half[2]
