"""Training on a GPU: a fit against the bare loop on tensors of the device, and replicas side by side.

Without a CUDA device there is nothing to measure, and no figure.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.figures import Figure, compared
from benchmarks.replicas import LARGE, measured, timed_fit
from benchmarks.sides import Request, processes
from benchmarks.training import TITLES, in_turns, throughput

BARE = "bare float32 loop, cuDNN, on the device"
TARGETS = {("lstm", 4096): 0.95}
# Tickers of the world and epochs, so that a fit takes seconds.
SIZES = {
    "lstm": {256: (50, 2), 800: (50, 4), 4096: (200, 6)},
    "dual_tower": {256: (50, 4), 800: (200, 4), 4096: (200, 16)},
}
REPLICAS = 16


def figures(quick: bool) -> Iterator[Figure]:
    """Every figure, each when it is known."""
    if not torch.cuda.is_available():
        return
    note = f"gpu: {torch.cuda.get_device_name()}"
    batches, rounds = ((4096,), 2) if quick else ((256, 800, 4096), 3)
    with tempfile.TemporaryDirectory() as folder, processes(("ours", "bare"), Path(folder)) as sides:
        for model in TITLES:
            for batch in batches:
                request = Request(model, batch, 1, *SIZES[model][batch], accelerator="gpu")
                answers = in_turns({name: (side, request) for name, side in sides.items()}, rounds)
                target = TARGETS.get((model, batch))
                yield throughput("gpu", request, answers["ours"], answers["bare"], BARE, target, note)
    if not quick:
        yield from _replicas(rounds, note)


def _replicas(rounds: int, note: str) -> Iterator[Figure]:
    """Fits of R seeds at once against one after the other."""
    for model, title in TITLES.items():
        with tempfile.TemporaryDirectory() as folder:
            seconds = measured(timed_fit((f"model={model}", *LARGE), Path(folder)), REPLICAS, rounds)
        case = f"{title}, {REPLICAS} replicas at once, batch 512"
        at_once = seconds[:, ::-1, 0]
        yield compared("gpu", case, "s", at_once, f"{REPLICAS} fits one after the other", "less", None, note)
