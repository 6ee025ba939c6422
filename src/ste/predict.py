"""Predict from a file: `python -m ste.predict model=model.onnx input=table.csv output=predictions.csv`."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from omegaconf import DictConfig

from ste.config import PredictSettings
from ste.config.fast_imports import fast_imports
from ste.config.hydra_app import run
from ste.config.load import load_settings
from ste.config.progress import wrapped


def predict_task(config: DictConfig) -> None:
    """Predict a table or daily bars, and print what became of the rows."""
    settings = load_settings(PredictSettings, config)
    with fast_imports("pandas and ONNX Runtime"):
        from ste.errors import DataError
        from ste.inference.batch.file_prediction import predict_file
        from ste.inference.training_data import synthetic_warning
        from ste.schema import PERIOD

    with _exit_on_sigterm():
        result = predict_file(settings)
    counts, card = result.counts, result.model.card
    period = PERIOD[card.frequency]
    scope = f" of the newest {period}" if settings.latest else ""
    unpredicted = f"rejected {counts.rejected:,}, {counts.short:,} without enough history"
    print(f"predicted {counts.predicted:,} rows{scope}, {unpredicted}")
    print(f"model    {card.name} {result.model.version}, trained to {card.trained_to}")
    if warning := synthetic_warning(card):
        print(wrapped(f"warning  {warning}", indent=9))
    print(f"output   {settings.output}")
    print(f"rejects  {settings.reject_path}")
    if result.positions is not None:
        print(wrapped(f"positions  {settings.positions}: {result.positions}", indent=11))
    if not counts.predicted:
        length = card.sequence_length
        needs = f"{length} consecutive {period}s" if length > 1 else f"a {period}"
        why = f" See {settings.reject_path} for the faults of the rejected rows." if counts.rejected else ""
        raise DataError(f"{result.source}: no row could be predicted. A prediction needs {needs} of a ticker.{why}")


@contextmanager
def _exit_on_sigterm() -> Iterator[None]:
    """Convert SIGTERM to an exception, so that partial files are removed."""
    previous = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def main() -> None:
    """Console entry."""
    run("predict", predict_task)


if __name__ == "__main__":
    main()
