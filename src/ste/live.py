"""Predict from a stream of events: `python -m ste.live model=model.onnx source=events.jsonl sink=predictions.jsonl`."""

import signal
import sys
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Self

from omegaconf import DictConfig

from ste.config import LiveSettings
from ste.config.hydra_app import run
from ste.config.load import load_settings

if TYPE_CHECKING:
    from ste.inference.onnx_model import ServedModel
    from ste.streaming.event_sources import Source
    from ste.streaming.sinks import Sink


class _Stop:
    """SIGTERM and Ctrl-C as a wish: the batch at hand is finished and kept. A second one is an order."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._take) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def __call__(self) -> bool:
        return self.signal is not None

    def _take(self, number: int, _frame: FrameType | None) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number


def live_task(config: DictConfig) -> None:
    """Open model, source and sink, go on from the checkpoint, and work until the end or a signal."""
    settings = load_settings(LiveSettings, config)
    from ste.inference.onnx_model import ServedModel  # the data libraries load only now
    from ste.inference.registry.lookup import find_model
    from ste.monitoring.input_counts import Monitor
    from ste.streaming.checkpoints import Checkpoints
    from ste.streaming.engine import Engine
    from ste.streaming.pipeline import Pipeline

    paths = settings.paths
    model = ServedModel(find_model(settings.model, settings.tracking, Path(paths.output), Path(paths.data)))
    monitor = Monitor(model.card) if model.card.reference else None
    pipeline = Pipeline(
        Engine(model, settings.delay, settings.provisional, monitor),
        _source(settings),
        _sink(settings, model),
        Checkpoints(paths.folder),
        every=settings.checkpoint,
        flush=settings.flush,
    )
    with closing(pipeline), _Stop() as stop:
        resumed = pipeline.start()
        _say(f"{model.card.name} {model.version}, {model.card.frequency}, windows of {model.card.sequence_length}")
        _say(f"{'goes on from' if resumed else 'state in'} {paths.folder}")
        status = pipeline.run(stop)
    for line in _summary(status, paths.folder):
        _say(line)
    if monitor is not None:
        _say(f"drift: {monitor.report().told}")
    if stop.signal is not None:
        _say("stopped; the same command goes on")
        sys.exit(128 + stop.signal)


def _source(settings: LiveSettings) -> "Source":
    from ste.streaming.event_sources import FileSource, StandardInput

    if settings.source == "replay":
        from ste.streaming.replay import Replay

        return Replay(settings.replay.files(), settings.replay.speed)
    if settings.source == "redis":
        from ste.streaming.redis_streams import RedisSource, connect

        redis = settings.redis
        return RedisSource(connect(redis.url), redis.url, redis.events, redis.group, redis.consumer)
    return StandardInput() if settings.source == "stdin" else FileSource(Path(settings.source), settings.follow)


def _sink(settings: LiveSettings, model: "ServedModel") -> "Sink":
    from ste.streaming.sinks import FileSink, StandardOutput

    classes = tuple(model.card.classes)
    if settings.sink == "redis":
        from ste.streaming.redis_streams import RedisSink, connect

        redis = settings.redis
        return RedisSink(connect(redis.url, retries=30), redis.url, redis.predictions, classes)
    return StandardOutput(classes) if settings.sink == "stdout" else FileSink(Path(settings.sink), classes)


def _summary(status: dict[str, Any], folder: Path) -> list[str]:
    """The counters in words."""
    events = ", ".join(f"{key.replace('.', ' ')} {count:,}" for key, count in status["events"].items())
    said = status["predictions"]
    lines = [
        f"events: {events or 'none'}; rejected {status['rejected']:,}",
        f"predictions: {said['final']:,}, provisional {said['provisional']:,}; "
        f"{said['short']:,} closes of tickers with too few periods"
        + f", {said['unusable']:,} with impossible figures"
        * bool(said["unusable"]),
    ]
    if status["over"] is not None:
        waiting = "" if status["waiting"] is None else f"; {status['waiting']:,} waiting in the source"
        lines.append(f"closed up to {status['over']}, latest event of {status['latest']}{waiting}")
    if status["rejected"]:
        lines.append(f"reasons of what was rejected: {folder / 'rejected.jsonl'}")
    return lines


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # standard output may be the sink


def main() -> None:
    """Console entry."""
    run("live", live_task)


if __name__ == "__main__":
    main()
