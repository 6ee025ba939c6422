"""A small synthetic market on which components are fitted."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from ste.config import PathSettings
from ste.config.load import compose_command, to_dict
from ste.experiment.run import parts_from_config
from ste.experiment.run_parts import RunParts

_OVERRIDES = (
    *("data=world", "data.tickers=4", "data.start=2018-01-01", "data.end=2021-12-31", "data.signal=0.6"),
    *("data.split.validation_start=2020-06-01", "data.split.test_start=2021-06-01", "data.batch_size=32"),
    *("trainer.max_epochs=1", "trainer.threads=1", "trainer.enable_progress_bar=false", "tracking=off"),
)


def small_parts(*overrides: str, seed: int = 0) -> RunParts:
    """Return the parts of a run on 4 tickers and 4 years.

    Args:
        overrides: of `ste.train` in addition.
        seed: of the run; the market is the same.
    """
    config = to_dict(compose_command("train", [*_OVERRIDES, *overrides, f"seed={seed}"]))
    folder = Path(_temporary().name)
    return parts_from_config(config, PathSettings(data=str(folder / "data"), output=str(folder / "outputs")))


@cache
def _temporary() -> TemporaryDirectory[str]:
    """A folder that is removed when the process ends."""
    return TemporaryDirectory(prefix="ste-check-")
