"""Training throughput: a fit with everything on against the bare loop, and against a plain script.

Training examples a second over whole fits by the clock, from prepared tables to the best epoch's weights: both sides
validate after each epoch on the same examples, about a fifth of those they learn from. Ours also clips gradients,
reports ten figures, writes checkpoints, stops early and sends curves to a sqlite store. `benchmarks.loops` says what
the yardsticks are, `benchmarks.sides` how they are kept apart.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.figures import Figure, compared
from benchmarks.sides import Answer, Request, Side, processes

BARE = "bare float32 loop"
SCRIPT = "plain script, a Dataset row by row"
TITLES = {"lstm": "SimpleLSTM", "dual_tower": "Dual Tower"}
TARGETS = {
    "lstm": {8: 0.8, 64: 0.95, 256: 1.0, 800: 1.0, 4096: 1.0},
    "dual_tower": {8: 0.6, 64: 0.7, 800: 0.9},
}
BF16_FROM, BF16_TARGET = 256, 1.3
# Tickers of the world and epochs, so that a fit of one thread takes one to four seconds.
SIZES = {
    "lstm": {8: (2, 1), 64: (8, 2), 256: (16, 2), 800: (8, 1), 4096: (8, 1)},
    "dual_tower": {8: (6, 1), 64: (50, 1), 256: (50, 3), 800: (50, 8), 4096: (50, 8)},
}
NOTE = (
    "training: windows of 20 by 21 features (Dual Tower: rows of 21); whole fits with validation, ours with clipping, "
    "figures, checkpoints, early stopping and curves to a sqlite store"
)


def figures(quick: bool) -> Iterator[Figure]:
    """Every figure, each when it is known."""
    batches, threads, rounds = ((64, 800), (1,), 2) if quick else ((8, 64, 256, 800, 4096), (1, 2), 3)
    with (
        tempfile.TemporaryDirectory() as folder,
        processes(("ours", "bare", "script"), Path(folder)) as sides,
    ):
        for model in TITLES:
            for batch in batches:
                for count in threads:
                    request = Request(model, batch, count, *SIZES[model][batch])
                    yield from _against_bare(sides, request, rounds, warm=count != threads[0])
        for model in TITLES:
            request = Request(model, 64, 1, *SIZES[model][64])
            answers = in_turns({name: (sides[name], request) for name in ("ours", "script")}, rounds)
            yield throughput("training", request, answers["ours"], answers["script"], SCRIPT, None, NOTE)
    if not quick and bf16_gains():
        yield _bf16_scores()


def _against_bare(sides: dict[str, Side], request: Request, rounds: int, *, warm: bool) -> Iterator[Figure]:
    """A fit and the bare loop, with the LSTM also a fit in bf16-mixed."""
    asked = {"ours": (sides["ours"], request), "bare": (sides["bare"], request)}
    half = replace(request, precision="bf16-mixed")
    halved = request.model == "lstm" and request.batch >= BF16_FROM and bf16_gains()
    if halved:
        asked["half"] = (sides["ours"], half)
    answers = in_turns(asked, rounds, warm=warm)
    target = TARGETS[request.model].get(request.batch)
    yield throughput("training", request, answers["ours"], answers["bare"], BARE, target, NOTE)
    if halved:
        yield throughput("training", half, answers["half"], answers["bare"], BARE, BF16_TARGET, NOTE)


def in_turns(asked: dict[str, tuple[Side, Request]], rounds: int, *, warm: bool = False) -> dict[str, list[Answer]]:
    """Answers of each, round by round, another one first each time; unless they are warm, a round before counts not."""
    names = list(asked)
    answers: dict[str, list[Answer]] = {name: [] for name in names}
    for number in range(1 if warm else 0, rounds + 1):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            side, request = asked[name]
            answer = side.ask(request)
            if number:
                answers[name].append(answer)
    return answers


def throughput(
    part: str, request: Request, ours: list[Answer], other: list[Answer], against: str, target: float | None, note: str
) -> Figure:
    """The figure of two sides' answers."""
    rates = np.array([[one.examples / one.seconds for one in pair] for pair in zip(ours, other, strict=True)])
    threads = "1 thread" if request.threads == 1 else f"{request.threads} threads"
    words = [TITLES[request.model], f"batch {request.batch}", threads]
    if request.precision != "32-true":
        words.append(request.precision)
    return compared(part, ", ".join(words), "samples/s", rates, against, "more", target, note)


def bf16_gains() -> bool:
    """Whether the processor multiplies bfloat16 by itself."""
    import torch

    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def _bf16_scores() -> Figure:
    """Test accuracy in bf16-mixed and in float32, which must not leave the interval of the latter's."""
    found = {precision: accuracy_in(precision) for precision in ("bf16-mixed", "32-true")}
    half, full = found["bf16-mixed"], found["32-true"]
    return Figure(
        part="training",
        case="SimpleLSTM, bf16-mixed, a world of 20 tickers",
        measure="test accuracy",
        ours=half[0],
        yardstick=full[0],
        against="the same in float32",
        ratio=half[0] / full[0],
        better="more",
        target=full[1] / full[0],
        note=f"training: the accuracy to reach in bf16-mixed is the lower end of the 95 % interval in float32, "
        f"[{full[1]:.4f}, {full[2]:.4f}]",
    )


def accuracy_in(precision: str) -> tuple[float, float, float]:
    """Test accuracy of a short run in a precision, with its 95 % interval."""
    import logging

    from ste.config.load import compose_train, plain, train_settings
    from ste.experiment.run import train

    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        chosen = [
            *("model=lstm", "data=world", "data.tickers=20", "data.sequence_length=20", "data.batch_size=256"),
            *("trainer.max_epochs=8", "trainer.progress=false", "tracking=off", f"trainer.precision={precision}"),
            *(f"paths.data={folder}/data", f"paths.output={folder}/out"),
        ]
        values = plain(compose_train(chosen))
        result = train(train_settings(values), values, Path(folder) / "run", "bf16")
    assert result is not None
    accuracy = result.scores["test"].figures["accuracy"]
    assert accuracy.low is not None
    assert accuracy.high is not None
    return accuracy.value, accuracy.low, accuracy.high
