"""Settings of `python -m ste.live`."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

from annotated_types import Ge, Le, Predicate

from ste.config.data_settings import MarketFiles
from ste.config.file_locations import find_files
from ste.config.run_settings import PathSettings, StoreSettings
from ste.config.validation import Expect, Name, NonNegativeFloat, Settings
from ste.errors import ConfigError, DataError


def _is_speed(text: str) -> bool:
    number = re.fullmatch(r"(\d+(\.\d+)?)x?", text.lower())
    return text.lower() == "max" or (number is not None and float(number[1]) > 0)


_SPEED = "max, events per second such as 500, or a multiple of real time such as 86400x"
Speed = Annotated[str, Predicate(_is_speed), Expect(_SPEED)]


@dataclass
class ReplaySettings(MarketFiles):
    """Market files that are sent as a stream (`source=replay`).

    Attributes:
        bars: daily bars in any usual shape (docs/files.md).
        news, macro, policy: paths of the files; None leaves the file out.
        speed: `max`, events per second such as `500`, or a multiple of real time such as `86400x`.
    """

    section: ClassVar[str] = "replay"

    speed: Speed = "max"


_REDIS = ("redis://", "rediss://", "unix://")
RedisUrl = Annotated[str, Predicate(lambda url: url.startswith(_REDIS)), Expect("redis://HOST:PORT/DATABASE")]


@dataclass
class RedisSettings(Settings):
    """Redis Streams (`source=redis`, `sink=redis`).

    Attributes:
        url: address of the server.
        events: key of the stream to read.
        predictions: key of the stream to write.
    """

    section: ClassVar[str] = "redis"

    url: RedisUrl = "redis://localhost:6379/0"
    events: Name = "ste:events"
    predictions: Name = "ste:predictions"

    def check(self) -> None:
        """Check that predictions are not written to the stream that is read."""
        self.require(self.predictions != self.events, "predictions", "another stream than redis.events")


@dataclass
class LivePaths(PathSettings):
    """Folders of a live pipeline.

    Attributes:
        state: folder of the checkpoint, rejected events and counters; None is `live` in the output folder.
    """

    state: str | None = None

    @property
    def folder(self) -> Path:
        """Folder of the state."""
        return Path(self.output) / "live" if self.state is None else Path(self.state)


@dataclass
class LiveSettings(StoreSettings):
    """Settings of a pipeline from a stream of events to a stream of predictions.

    Attributes:
        model: an ONNX file of `python -m ste.export`, or a run id, `latest`, `best`, `champion`, `models:/NAME@ALIAS`.
        source: a file of JSON lines, `stdin`, `redis`, or `replay` of market files.
        sink: a file of JSON lines, a `.csv`, `stdout`, or `redis`.
        follow: wait for more lines at the end of a file.
        provisional: also predict at each session of a week before its last one, as if the week ended there.
        max_delay: days that events may arrive late, 0 to 30.
        flush: whether the end of the source closes its last day.
        checkpoint_interval: seconds between checkpoints while events arrive.
    """

    paths: LivePaths
    replay: ReplaySettings = field(default_factory=ReplaySettings)
    redis: RedisSettings = field(default_factory=RedisSettings)
    model: Annotated[str, Predicate(bool), Expect("a file or a run")] = "champion"
    source: Annotated[str, Predicate(bool), Expect("a file, stdin, redis or replay")] = "stdin"
    sink: Annotated[str, Predicate(bool), Expect("a file, stdout or redis")] = "stdout"
    follow: bool = True
    provisional: bool = False
    max_delay: Annotated[int, Ge(0), Le(30)] = 0
    flush: bool = True
    checkpoint_interval: NonNegativeFloat = 1.0

    def check(self) -> None:
        """Check that source, sink and the files to replay go together."""
        if self.source == "replay" and self.replay.bars is None:
            raise ConfigError("replay.bars=null: source=replay needs a file of bars. Try replay.bars=bars.csv.")
        if self.source != "replay" and self.replay.files():
            raise ConfigError(
                f"source={self.source}: replay.bars and the other files need source=replay. Try source=replay."
            )
        if self.source == self.sink and self.source != "redis":
            raise ConfigError(
                f"sink={self.sink}: found the source itself, expected another file. Try sink=predictions.jsonl."
            )
        for key, path in self.replay.files().items():
            if key == "bars":
                find_files(path, "replay.bars")
            elif not Path(path).expanduser().is_file():
                raise DataError(f"replay.{key}={path}: no such file. Give the path of a CSV or Parquet file.")
