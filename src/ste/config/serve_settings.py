"""Settings of the service."""

from dataclasses import dataclass, field

from ste.config.run_settings import PathSettings, TrackingSettings
from ste.config.validation import require


@dataclass
class LimitSettings:
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

    body_bytes: int = 4_194_304
    examples: int = 1024
    head_seconds: float = 5.0
    body_seconds: float = 20.0
    answer_seconds: float = 10.0
    idle_seconds: float = 20.0
    connections: int = 1000
    waiting: int = 16_384

    def __post_init__(self) -> None:
        for name in ("body_bytes", "examples", "connections", "waiting"):
            require(self, f"limits.{name}", getattr(self, name) >= 1, "1 or more")
        for name in ("head_seconds", "body_seconds", "answer_seconds", "idle_seconds"):
            require(self, f"limits.{name}", 0 < getattr(self, name) < 86_400, "seconds above 0, less than a day")
        require(self, "limits.waiting", self.waiting >= self.examples, "at least limits.examples")


@dataclass
class ServeSettings:
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
    model: str = "champion"
    host: str = "127.0.0.1"
    port: int = 8000
    keys_file: str | None = None
    batch: int = 256
    threads: int = 1
    watch_seconds: float = 1.0
    stop_seconds: int = 30
    bars: str | None = None
    news: str | None = None
    macro: str | None = None
    policy: str | None = None
    monitor: bool = True

    def __post_init__(self) -> None:
        require(self, "model", bool(self.model), "an ONNX file, a run or an alias", example="champion")
        self.model = str(self.model)
        require(self, "host", bool(self.host), "an address to listen on")
        require(self, "port", 0 <= self.port < 65_536, "a port from 0 to 65535")
        require(self, "batch", self.batch >= 1, "1 or more")
        require(self, "threads", self.threads >= 1, "1 or more")
        require(self, "stop_seconds", self.stop_seconds >= 1, "1 or more")
        number = isinstance(self.watch_seconds, int | float) and not isinstance(self.watch_seconds, bool)
        require(self, "watch_seconds", number and 0 <= self.watch_seconds < 86_400, "seconds, or 0 for never")
        alone = bool(self.bars) or not any((self.news, self.macro, self.policy))
        require(self, "bars", alone, "a file of daily bars beside news, macro or policy", example="bars.csv")
        require(self, "monitor", isinstance(self.monitor, bool), "true or false")

    def files(self) -> dict[str, str]:
        """The files given, by kind."""
        named = {"bars": self.bars, "news": self.news, "macro": self.macro, "policy": self.policy}
        return {kind: path for kind, path in named.items() if path is not None}
