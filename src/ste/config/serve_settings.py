"""Settings of the service."""

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt, Le, Lt, Predicate

from ste.config.run_settings import PathSettings, TrackingSettings
from ste.config.validation import Expect, Name, PositiveInt, Settings

_DAY = 86_400
Seconds = Annotated[float, Gt(0), Lt(_DAY), Expect("seconds above 0, less than a day")]


@dataclass
class LimitSettings(Settings):
    """What one client may ask of the service.

    Attributes:
        body_bytes: largest body, bytes.
        examples: of one request.
        head_seconds: from the first byte of a request to the end of its headers.
        body_seconds: from the first byte of a request to the end of its body.
        answer_seconds: that a request may wait for the model before it is refused.
        idle_seconds: that a connection is kept between requests.
        connections: open at once.
        waiting: examples that may wait for the model; more are refused.
    """

    section: ClassVar[str] = "limits"

    body_bytes: PositiveInt = 4_194_304
    examples: PositiveInt = 1024
    head_seconds: Seconds = 5.0
    body_seconds: Seconds = 20.0
    answer_seconds: Seconds = 10.0
    idle_seconds: Seconds = 20.0
    connections: PositiveInt = 1000
    waiting: PositiveInt = 16_384

    def check(self) -> None:
        """Check that the largest request can wait."""
        self.require(self.waiting >= self.examples, "waiting", "at least limits.examples")


@dataclass
class ServeSettings(Settings):
    """A model to serve over HTTP.

    Attributes:
        model: an ONNX file, a run id, `latest`, `best`, `champion`, or `models:/NAME@ALIAS`.
        host: address to listen on.
        port: to listen on; 0 is any that is free.
        keys_file: with one API key per line; None takes them from `STE_API_KEYS`, where that is set.
        batch: most examples in one run of the model.
        threads: of ONNX Runtime within one run.
        watch_seconds: between two looks for a new version of the model; 0 never looks.
        stop_seconds: that requests in flight are given when the service is told to stop.
        bars, news, macro, policy: files of a market whose past the page shows; without bars it shows the model alone.
        monitor: whether drift is counted, and kept in `monitor/` of the output folder.
    """

    tracking: TrackingSettings
    paths: PathSettings
    limits: LimitSettings = field(default_factory=LimitSettings)
    model: Annotated[str, Predicate(bool), Expect("an ONNX file, a run or an alias")] = "champion"
    host: Name = "127.0.0.1"
    port: Annotated[int, Ge(0), Le(65535)] = 8000
    keys_file: str | None = None
    batch: PositiveInt = 256
    threads: PositiveInt = 1
    watch_seconds: Annotated[float, Ge(0), Lt(_DAY), Expect("seconds, or 0 for never")] = 1.0
    stop_seconds: PositiveInt = 30
    bars: str | None = None
    news: str | None = None
    macro: str | None = None
    policy: str | None = None
    monitor: bool = True

    def check(self) -> None:
        """Check that the other market files come with bars."""
        alone = bool(self.bars) or not any((self.news, self.macro, self.policy))
        self.require(alone, "bars", "a file of daily bars as well as news, macro or policy", example="bars.csv")

    def files(self) -> dict[str, str]:
        """The files given, by kind."""
        named = {"bars": self.bars, "news": self.news, "macro": self.macro, "policy": self.policy}
        return {kind: path for kind, path in named.items() if path is not None}
