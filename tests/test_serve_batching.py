"""Requests that arrive while the model runs are answered by its next run, each with its own rows."""

import asyncio
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ste.serving.batcher import Batcher
from ste.serving.problems import Problem


class Doubling:
    """A model that notes the size of each run, and can be held up or fail on a row."""

    card = SimpleNamespace(sees_market=False)

    def __init__(self, poison: float | None = None) -> None:
        self.sizes: list[int] = []
        self.going = threading.Event()
        self.going.set()
        self.poison = poison

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        self.going.wait(10)
        self.sizes.append(len(features))
        if self.poison is not None and (features == self.poison).any():
            raise ValueError("poison")
        return features * 2


def rows(count: int, first: int) -> np.ndarray:
    return np.arange(first, first + count, dtype=np.float32)[:, None]


@settings(max_examples=60)
@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=12), most=st.integers(1, 16))
def test_everyone_gets_their_own_rows_in_runs_of_at_most_the_limit(sizes: list[int], most: int):
    model = Doubling()
    seen = []

    async def all_at_once() -> list[np.ndarray]:
        batcher = Batcher(most, 10_000, 10.0, lambda *arguments: seen.append(arguments), None)
        given = [rows(size, 100 * i) for i, size in enumerate(sizes)]
        try:
            return await asyncio.gather(*(batcher.probabilities(model, one) for one in given))
        finally:
            await asyncio.sleep(0)
            assert batcher.queued == 0
            batcher.close()

    answers = asyncio.run(all_at_once())
    for i, (size, answer) in enumerate(zip(sizes, answers, strict=True)):
        np.testing.assert_array_equal(answer, rows(size, 100 * i) * 2)
    assert max(model.sizes) <= most
    assert sum(model.sizes) == sum(sizes)


def test_what_arrives_during_a_run_goes_into_the_next_one_together():
    model, ran = Doubling(), []

    async def ask() -> None:
        batcher = Batcher(64, 1000, 10.0, None, ran.append)
        model.going.clear()
        first = asyncio.ensure_future(batcher.probabilities(model, rows(1, 0)))
        await asyncio.sleep(0.05)
        rest = [asyncio.ensure_future(batcher.probabilities(model, rows(2, i))) for i in range(20)]
        await asyncio.sleep(0.05)
        assert batcher.queued == 40
        model.going.set()
        await asyncio.gather(first, *rest)
        await asyncio.sleep(0.01)
        batcher.close()

    asyncio.run(ask())
    assert model.sizes == [1, 40]
    assert ran == [1, 40]


def test_two_models_are_never_mixed():
    old, new = Doubling(), SimpleNamespace(card=Doubling.card, probabilities=lambda features: features * 3)

    async def ask() -> list[np.ndarray]:
        batcher = Batcher(64, 1000, 10.0)
        parts = [batcher.probabilities(old if i % 3 else new, rows(1, i)) for i in range(12)]
        answers = await asyncio.gather(*parts)
        batcher.close()
        return answers

    for i, answer in enumerate(asyncio.run(ask())):
        assert answer[0, 0] == i * (2 if i % 3 else 3)


def test_a_request_that_breaks_a_run_breaks_no_other():
    model = Doubling(poison=7.0)

    async def ask() -> list[object]:
        batcher = Batcher(64, 1000, 10.0)
        answers = await asyncio.gather(
            *(batcher.probabilities(model, rows(1, i)) for i in range(12)), return_exceptions=True
        )
        batcher.close()
        return answers

    answers = asyncio.run(ask())
    assert isinstance(answers[7], ValueError)
    assert [answer[0, 0] for i, answer in enumerate(answers) if i != 7] == [2 * i for i in range(12) if i != 7]


def test_too_much_at_once_is_refused_and_what_was_taken_is_answered():
    model = Doubling()

    async def ask() -> None:
        batcher = Batcher(4, 10, 10.0)
        model.going.clear()
        taken = asyncio.ensure_future(batcher.probabilities(model, rows(10, 0)))
        await asyncio.sleep(0.05)
        with pytest.raises(Problem, match="examples are queued for the model") as raised:
            await batcher.probabilities(model, rows(5, 0))
        assert raised.value.status == 503
        model.going.set()
        np.testing.assert_array_equal(await taken, rows(10, 0) * 2)
        batcher.close()

    asyncio.run(ask())


def test_what_waited_too_long_is_refused_without_a_run():
    model = Doubling()

    async def ask() -> None:
        batcher = Batcher(4, 100, 0.05)
        model.going.clear()
        first = asyncio.ensure_future(batcher.probabilities(model, rows(1, 0)))
        await asyncio.sleep(0.02)
        late = asyncio.ensure_future(batcher.probabilities(model, rows(1, 1)))
        await asyncio.sleep(0.2)
        model.going.set()
        await first
        with pytest.raises(Problem, match=r"waited 0.05 s for the model"):
            await late
        batcher.close()

    asyncio.run(ask())
    assert model.sizes == [1]


def test_what_was_given_up_is_not_run():
    model = Doubling()

    async def ask() -> None:
        batcher = Batcher(1, 100, 10.0)
        model.going.clear()
        tasks = [asyncio.ensure_future(batcher.probabilities(model, rows(1, i))) for i in range(3)]
        await asyncio.sleep(0.05)
        tasks[1].cancel()
        await asyncio.sleep(0)
        model.going.set()
        await asyncio.gather(tasks[0], tasks[2])
        batcher.close()

    asyncio.run(ask())
    assert model.sizes == [1, 1]
