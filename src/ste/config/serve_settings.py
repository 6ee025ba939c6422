"""Settings of the service."""

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt, Le, Lt, Predicate

from ste.config.data_settings import MarketFiles
from ste.config.run_settings import StoreSettings
from ste.config.validation import Expect, Name, PositiveInt, Settings

_DAY = 86_400
Seconds = Annotated[float, Gt(0), Lt(_DAY), Expect("seconds above 0, less than a day")]


@dataclass
class LimitSettings(Settings):
    """Limits on requests and connections.

    Attributes:
        max_body_bytes: maximum size of a request body, bytes.
        max_examples: maximum number of examples in one request.
        header_timeout: seconds from the first byte of a request, or from a new connection, to the end of the headers.
        body_timeout: seconds from the headers of a request to the end of its body.
        queue_timeout: seconds that a request may wait for the model before it is rejected.
        idle_timeout: seconds that a connection may be idle between requests.
        max_connections: maximum number of open connections.
        max_queued_examples: maximum number of examples that wait for the model; more are rejected.
    """

    section: ClassVar[str] = "limits"

    max_body_bytes: PositiveInt = 4_194_304
    max_examples: PositiveInt = 1024
    header_timeout: Seconds = 5.0
    body_timeout: Seconds = 20.0
    queue_timeout: Seconds = 10.0
    idle_timeout: Seconds = 20.0
    max_connections: PositiveInt = 1000
    max_queued_examples: PositiveInt = 16_384

    def check(self) -> None:
        """Check that the largest request fits into the queue."""
        enough = self.max_queued_examples >= self.max_examples
        self.require(enough, "max_queued_examples", "at least limits.max_examples")


@dataclass
class ServeSettings(MarketFiles, StoreSettings):
    """Settings of the HTTP service.

    Attributes:
        model: an ONNX file, a run id, `latest`, `best`, `champion`, or `models:/NAME@ALIAS`.
        host: address to listen on.
        port: port to listen on; 0 chooses a free one.
        keys_file: file with one API key per line; None reads `STE_API_KEYS`, if set.
        max_batch: maximum number of examples in one run of the model.
        threads: threads of ONNX Runtime within one run.
        reload_interval: seconds between two checks for a new model version; 0 never checks.
        shutdown_timeout: seconds for requests in flight when the service stops.
        bars, news, macro, policy: market files for the dashboard's history; without bars it shows the model only.
        monitor: whether drift is counted, and saved to `monitor/` in the output folder.
    """

    limits: LimitSettings = field(default_factory=LimitSettings)
    model: Annotated[str, Predicate(bool), Expect("an ONNX file, a run or an alias")] = "champion"
    host: Name = "127.0.0.1"
    port: Annotated[int, Ge(0), Le(65535)] = 8000
    keys_file: str | None = None
    max_batch: PositiveInt = 256
    threads: PositiveInt = 1
    reload_interval: Annotated[float, Ge(0), Lt(_DAY), Expect("seconds, or 0 for never")] = 1.0
    shutdown_timeout: PositiveInt = 30
    monitor: bool = True
