"""Predict from a stream of events: `python -m ste.live model=model.onnx source=events.jsonl sink=predictions.jsonl`."""

import signal
import sys
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Self

from omegaconf import DictConfig

from ste.config import LiveSettings
from ste.config.fast_imports import fast_imports
from ste.config.hydra_app import run
from ste.config.load import load_settings
from ste.config.progress import wrapped

if TYPE_CHECKING:
    from ste.inference.onnx_model import ServedModel
    from ste.streaming.event_sources import EventSource
    from ste.streaming.sinks import Sink


class StopSignal:
    """Handler of SIGTERM and Ctrl-C: the first one requests a stop after the current batch, a second one interrupts."""

    def __init__(self) -> None:
        self.received: int | None = None

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._handle) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def requested(self) -> bool:
        """Whether a signal was received."""
        return self.received is not None

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.received is not None:
            raise KeyboardInterrupt
        self.received = number


def live_task(config: DictConfig) -> None:
    """Run the pipeline from the latest checkpoint to the end of the source or a signal."""
    settings = load_settings(LiveSettings, config)
    with fast_imports("pandas and ONNX Runtime"):
        from ste.inference.onnx_model import ServedModel
        from ste.inference.registry.lookup import find_model
        from ste.inference.training_data import synthetic_warning
        from ste.streaming.checkpoints import Checkpoints
        from ste.streaming.engine import Engine, check_streamable
        from ste.streaming.pipeline import Pipeline

    paths = settings.paths
    model = ServedModel(find_model(settings.model, settings.tracking, paths))
    check_streamable(model.card)
    source = _source(settings, model)
    pipeline = Pipeline(
        Engine(model, settings.max_delay, settings.provisional),
        source,
        _sink(settings, model),
        Checkpoints(paths.folder),
        checkpoint_interval=settings.checkpoint_interval,
        flush=settings.flush,
    )
    with closing(pipeline), StopSignal() as stop:
        resumed = pipeline.start()
        _print(f"{model.card.name} {model.version}, {model.card.frequency}, windows of {model.card.sequence_length}")
        if warning := synthetic_warning(model.card):
            _print(wrapped(f"warning: {warning}"))
        for note in source.notes:
            _print(wrapped(note))
        _print(f"{'resumed from' if resumed else 'state in'} {paths.folder}")
        status = pipeline.run(stop.requested)
    for line in _summary(status, paths.folder):
        _print(line)
    if stop.received is not None:
        _print("stopped; run the same command to resume")
        sys.exit(128 + stop.received)


def _source(settings: LiveSettings, model: "ServedModel") -> "EventSource":
    from ste.streaming.event_sources import FileSource, StandardInput

    if settings.source == "replay":
        from ste.streaming.replay import Replay

        return Replay(model.card, settings.replay)
    if settings.source == "redis":
        from ste.streaming.redis_streams import RedisSource, connect

        redis = settings.redis
        return RedisSource(connect(redis.url), redis.url, redis.events)
    return StandardInput() if settings.source == "stdin" else FileSource(Path(settings.source), settings.follow)


def _sink(settings: LiveSettings, model: "ServedModel") -> "Sink":
    from ste.streaming.sinks import FileSink, StandardOutput

    classes = tuple(model.card.classes)
    if settings.sink == "redis":
        from ste.streaming.redis_streams import RedisSink, connect

        redis = settings.redis
        return RedisSink(connect(redis.url), redis.url, redis.predictions, classes)
    return StandardOutput(classes) if settings.sink == "stdout" else FileSink(Path(settings.sink), classes)


def _summary(status: dict[str, Any], folder: Path) -> list[str]:
    """Format the counters as lines of text."""
    events = ", ".join(f"{key.replace('.', ' ')} {count:,}" for key, count in status["events"].items())
    counts = status["predictions"]
    lines = [
        f"events: {events or 'none'}; rejected {status['rejected']:,}",
        f"predictions: {counts['final']:,}, provisional {counts['provisional']:,}; "
        f"{counts['short']:,} closes of tickers with too few periods"
        + f", {counts['unusable']:,} with values that are not finite"
        * bool(counts["unusable"]),
    ]
    if status["watermark"] is not None:
        backlog = "" if status["backlog"] is None else f"; {status['backlog']:,} waiting in the source"
        lines.append(f"closed up to {status['watermark']}, latest event of {status['latest']}{backlog}")
    if status["unread"]:
        names = [f"{name} {count:,}" for name, count in status["unread"].items()]
        lines.append(
            f"values of columns that the model does not read: {', '.join(names[:4])}{', …' * (len(names) > 4)}"
        )
    if status["rejected"]:
        lines.append(f"rejected events and reasons: {folder / 'rejected.jsonl'}")
    return lines


def _print(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # standard output may be the sink


def main() -> None:
    """Console entry."""
    run("live", live_task)


if __name__ == "__main__":
    main()
