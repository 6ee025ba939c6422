"""What the jobs of a sweep are given, and which of them are looked at before it begins."""

from typing import Any

from ste.config import TrainSettings
from ste.tuning.search_space import Choice, Space, text_of
from ste.tuning.workers import Workers

_ELSEWHERE = ("hydra", "tracking", "paths.", "sweep.", "trainer.threads", "trainer.enable_progress_bar")
"""Overrides that do not decide what a search finds."""


def samples(swept: Space) -> list[dict[str, str]]:
    """As few jobs as hold each value at least once, so that a long grid is checked in short time."""
    lists = {key: _ends(values) for key, values in swept.items()}
    longest = max((len(values) for values in lists.values()), default=1)
    return [{key: values[i % len(values)] for key, values in lists.items()} for i in range(longest)]


def _ends(values: Any) -> list[str]:
    if isinstance(values, Choice):
        return list(values.values)
    kind = int if values.whole else float
    return [text_of(kind(values.low)), text_of(kind(values.high))]


def extra(fixed: dict[str, str], swept: Space, settings: TrainSettings, workers: Workers) -> dict[str, str]:
    """Overrides for every trial, where nobody typed them: its share of the cores, and rows that all have."""
    extra = {"trainer.enable_progress_bar": "false"}
    if workers.threads is not None and settings.trainer.threads is None:
        extra["trainer.threads"] = str(workers.threads)
    lengths = swept.get("data.sequence_length")
    if lengths is not None and "data" not in swept and settings.data.history is None:
        numbers = lengths.values if isinstance(lengths, Choice) else (str(int(lengths.high)),)
        if all(number.isdigit() for number in numbers):
            extra["data.history"] = str(max(map(int, numbers)))
    return {key: value for key, value in extra.items() if key not in fixed and key not in swept}


def decides(fixed: dict[str, str], swept: Space) -> str:
    """What decides a search's trials, in words."""
    kept = [f"{key}={value}" for key, value in sorted(fixed.items()) if not key.startswith(_ELSEWHERE)]
    return " ".join([*kept, *(f"{key}=({values})" for key, values in sorted(swept.items()))])
