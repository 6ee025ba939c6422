"""Overrides that a sweep adds to its jobs, and the jobs that are checked before it starts."""

from ste.config import TrainSettings
from ste.tuning.search_space import Choices, NumberRange, Space, text_of
from ste.tuning.workers import Workers

_NOT_DECISIVE = ("hydra", "tracking", "paths.", "sweep.", "trainer.threads", "trainer.enable_progress_bar")
"""Prefixes of overrides that do not change the results of a search."""


def sample_jobs(swept: Space) -> list[dict[str, str]]:
    """Choose the smallest number of jobs that contain each value at least once, to check a long grid quickly."""
    lists = {key: _end_points(values) for key, values in swept.items()}
    count = max((len(values) for values in lists.values()), default=1)
    return [{key: values[i % len(values)] for key, values in lists.items()} for i in range(count)]


def _end_points(values: Choices | NumberRange) -> list[str]:
    if isinstance(values, Choices):
        return list(values.values)
    kind = int if values.integer else float
    return [text_of(kind(values.low)), text_of(kind(values.high))]


def extra_overrides(fixed: dict[str, str], swept: Space, settings: TrainSettings, workers: Workers) -> dict[str, str]:
    """Overrides that every trial gets unless typed: its threads, and a history that all window lengths share.

    Args:
        fixed: typed overrides with one value.
        swept: typed overrides with several values.
        settings: of one of the trials.
        workers: capacity of the launcher.
    """
    extra = {}
    if workers.threads is not None and settings.trainer.threads is None:
        extra["trainer.threads"] = str(workers.threads)
    lengths = swept.get("data.sequence_length")
    if lengths is not None and "data" not in swept and settings.data.history is None:
        numbers = lengths.values if isinstance(lengths, Choices) else (str(int(lengths.high)),)
        if all(number.isdigit() for number in numbers):
            extra["data.history"] = str(max(map(int, numbers)))
    return {key: value for key, value in extra.items() if key not in fixed and key not in swept}


def search_identity(fixed: dict[str, str], swept: Space) -> str:
    """Describe everything that determines a search's trials; equal searches have equal texts."""
    decisive = [f"{key}={value}" for key, value in sorted(fixed.items()) if not key.startswith(_NOT_DECISIVE)]
    return " ".join([*decisive, *(f"{key}=({values})" for key, values in sorted(swept.items()))])
