"""Training throughput: a fit with everything on against the bare loop, and against a plain script.

Training examples a second over whole fits by the clock, from prepared tables to the best epoch's weights: both sides
validate after each epoch on the same examples, about a fifth of those they learn from. Ours also clips gradients,
reports ten figures, writes checkpoints, stops early and sends curves to a sqlite store. `ste.bench.loops` says what
the yardsticks are, `ste.bench.sides` how they are kept apart.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np

from ste.bench.figures import Figure, compared
from ste.bench.sides import Answer, Request, Side, processes

BARE = "bare float32 loop"
SCRIPT = "plain script, a Dataset row by row"
TITLES = {"lstm": "SimpleLSTM", "dual_tower": "Dual Tower"}
TARGETS = {
    "lstm": {8: 0.8, 64: 0.95, 256: 1.0, 800: 1.0, 4096: 1.0},
    "dual_tower": {8: 0.6, 64: 0.7, 800: 0.9},
}
BF16_FROM, BF16_TARGET = 256, 1.3
# Tickers of the world and epochs, so that a fit of one thread takes about a second.
SIZES = {
    "lstm": {8: (2, 1), 64: (4, 1), 256: (6, 1), 800: (8, 1), 4096: (8, 1)},
    "dual_tower": {8: (8, 1), 64: (50, 1), 256: (50, 3), 800: (50, 5), 4096: (50, 5)},
}


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
                    yield from _against_bare(sides, Request(model, batch, count, *SIZES[model][batch]), rounds)
        for model, batch in (("lstm", 64), ("dual_tower", 64)):
            yield _against_script(sides, Request(model, batch, 1, *SIZES[model][batch]), rounds)


def _against_bare(sides: dict[str, Side], request: Request, rounds: int) -> Iterator[Figure]:
    """A fit and the bare loop, with the LSTM also a fit in bf16-mixed."""
    asked = {"ours": (sides["ours"], request), "bare": (sides["bare"], request)}
    halved = request.model == "lstm" and request.batch >= BF16_FROM and bf16_gains()
    if halved:
        asked["bf16"] = (sides["ours"], _in_bf16(request))
    answers = _in_turns(asked, rounds)
    yield _figure(request, answers["ours"], answers["bare"], BARE, TARGETS[request.model].get(request.batch))
    if halved:
        yield _figure(_in_bf16(request), answers["bf16"], answers["bare"], BARE, BF16_TARGET)


def _against_script(sides: dict[str, Side], request: Request, rounds: int) -> Figure:
    answers = _in_turns({name: (sides[name], request) for name in ("ours", "script")}, rounds)
    return _figure(request, answers["ours"], answers["script"], SCRIPT, None)


def _in_bf16(request: Request) -> Request:
    return Request(**{**vars(request), "precision": "bf16-mixed"})


def _in_turns(asked: dict[str, tuple[Side, Request]], rounds: int) -> dict[str, list[Answer]]:
    """Answers of each, round by round, another one first each time; a round before does not count."""
    names = list(asked)
    answers: dict[str, list[Answer]] = {name: [] for name in names}
    for number in range(rounds + 1):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            side, request = asked[name]
            answer = side.ask(request)
            if number:
                answers[name].append(answer)
    return answers


def _figure(
    request: Request, ours: list[Answer], yardstick: list[Answer], against: str, target: float | None
) -> Figure:
    rates = np.array([[one.examples / one.seconds for one in pair] for pair in zip(ours, yardstick, strict=True)])
    by_cpu = median(two.cpu / one.cpu for one, two in zip(ours, yardstick, strict=True))
    threads = "1 thread" if request.threads == 1 else f"{request.threads} threads"
    precision = "" if request.precision == "32-true" else f", {request.precision}"
    case = f"{TITLES[request.model]}, batch {request.batch}, {threads}{precision}"
    note = f"{by_cpu:.2f} by processor time"
    return compared("training", case, "samples/s", rates, against, "more", target, note)


def bf16_gains() -> bool:
    """Whether the processor multiplies bfloat16 by itself."""
    import torch

    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
