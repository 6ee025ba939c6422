"""Settings of `python -m ste.live`."""

import re
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

from ste.config.run_settings import PathSettings, TrackingSettings
from ste.config.validation import require
from ste.errors import ConfigError, DataError


@dataclass
class ReplaySettings:
    """Market files to send as a stream (`source=replay`).

    Attributes:
        bars, news, macro, policy: their paths.
        speed: `max`, events a second such as `500`, or times real time such as `86400x`.
    """

    bars: str | None = None
    news: str | None = None
    macro: str | None = None
    policy: str | None = None
    speed: str = "max"

    def __post_init__(self) -> None:
        speed = self.speed.lower()
        number = re.fullmatch(r"(\d+(\.\d+)?)x?", speed)
        known = speed == "max" or (number is not None and float(number[1]) > 0)
        require(self, "replay.speed", known, "max, events a second such as 500, or times real time such as 86400x")

    def files(self) -> dict[str, str]:
        """Paths that are given, by kind."""
        given = {kind: getattr(self, kind) for kind in ("bars", "news", "macro", "policy")}
        return {kind: path for kind, path in given.items() if path is not None}


@dataclass
class RedisSettings:
    """Redis Streams (`source=redis`, `sink=redis`).

    Attributes:
        url: of the server.
        events: stream to read.
        group, consumer: that read it.
        predictions: stream to write.
    """

    url: str = "redis://localhost:6379/0"
    events: str = "ste:events"
    group: str = "ste"
    consumer: str = "live"
    predictions: str = "ste:predictions"

    def __post_init__(self) -> None:
        known = self.url.startswith(("redis://", "rediss://", "unix://"))
        require(self, "redis.url", known, "redis://HOST:PORT/DATABASE")
        for key in ("events", "group", "consumer", "predictions"):
            require(self, f"redis.{key}", bool(getattr(self, key)), "a name")
        require(self, "redis.predictions", self.predictions != self.events, "another stream than redis.events")


@dataclass
class LivePaths(PathSettings):
    """Folders of a live pipeline.

    Attributes:
        state: its checkpoint, rejected events and counters; None is `live` in the output folder.
    """

    state: str | None = None

    @property
    def folder(self) -> Path:
        """Of the state."""
        return Path(self.output) / "live" if self.state is None else Path(self.state)


@dataclass
class LiveSettings:
    """A pipeline from a stream of events to a stream of predictions.

    Attributes:
        model: an ONNX file of `python -m ste.export`, or a run id, `latest`, `best`, `champion`, `models:/NAME@ALIAS`.
        source: a file of JSON lines, `stdin`, `redis`, or `replay` of market files.
        sink: a file of JSON lines, a `.csv`, `stdout`, or `redis`.
        follow: wait for more at the end of a file.
        provisional: predict at each session of a week as well, as if the week ended there.
        delay: days that events may come late.
        flush: the end of the source closes what its last day left open.
        checkpoint: seconds between checkpoints while events keep coming.
    """

    tracking: TrackingSettings
    paths: LivePaths
    replay: ReplaySettings = field(default_factory=ReplaySettings)
    redis: RedisSettings = field(default_factory=RedisSettings)
    model: str = "champion"
    source: str = "stdin"
    sink: str = "stdout"
    follow: bool = True
    provisional: bool = False
    delay: int = 0
    flush: bool = True
    checkpoint: float = 1.0

    def __post_init__(self) -> None:
        for key in ("model", "source", "sink"):
            setattr(self, key, "" if getattr(self, key) is None else str(getattr(self, key)))
        require(self, "model", bool(self.model), "a file or a run", example="model.onnx")
        require(self, "source", bool(self.source), "a file, stdin, redis or replay", example="events.jsonl")
        require(self, "sink", bool(self.sink), "a file, stdout or redis", example="predictions.jsonl")
        for key in ("follow", "provisional", "flush"):
            require(self, key, isinstance(getattr(self, key), bool), "true or false", example="true")
        require(self, "delay", 0 <= self.delay <= 30, "0 to 30 days")
        number = isinstance(self.checkpoint, int | float) and not isinstance(self.checkpoint, bool)
        require(self, "checkpoint", number and 0 <= self.checkpoint < inf, "seconds, 0 or more")
        self._check_files()

    def _check_files(self) -> None:
        if self.source == "replay" and self.replay.bars is None:
            raise ConfigError("replay.bars=null: source=replay sends market files. Try replay.bars=bars.csv.")
        if self.source != "replay" and self.replay.files():
            raise ConfigError(f"source={self.source}: replay.bars and the others are sent by source=replay.")
        if self.source == self.sink and self.source != "redis":
            raise ConfigError(f"sink={self.sink}: that is the source. Try sink=predictions.jsonl.")
        for key, path in self.replay.files().items():
            if not Path(path).is_file():
                raise DataError(f"replay.{key}={path}: no such file. Give the path of a CSV or Parquet file.")
