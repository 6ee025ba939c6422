"""Redis Streams as source and sink (https://redis.io/docs/latest/develop/data-types/streams).

An event is an entry with a field `event` that holds its JSON; a prediction is one with a field `prediction`.
"""

import time
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from ste.errors import RunError
from ste.streaming.engine import Prediction
from ste.streaming.event_sources import SourceRecord
from ste.streaming.events import EventError
from ste.streaming.sinks import PredictionFormat

EVENT, PREDICTION = b"event", b"prediction"
_BATCH = 1024
_START = "0-0"
_CONNECTION_LOST = (redis.ConnectionError, redis.TimeoutError)
_SERVER_TIMEOUT = 30.0  # seconds for a server to come back


def connect(url: str, retries: int = 0) -> "redis.Redis[bytes]":
    """Connect to a server.

    Args:
        url: address of the server.
        retries: number of retries of a command whose connection breaks.

    Raises:
        RunError: the server does not answer.
    """
    # Commands are sent again after a lost connection. XREADGROUP is not: a lost response was already delivered.
    retry = Retry(ExponentialBackoff(cap=1.0, base=0.05), retries)
    try:
        client = redis.Redis.from_url(url, retry=retry, socket_timeout=_SERVER_TIMEOUT)
        client.ping()
    except (redis.RedisError, ValueError) as error:
        raise RunError(
            f"redis.url={without_password(url)}: cannot connect to a server ({str(error)[:100]}). Start one "
            "(redis-server), or give its address: redis.url=redis://HOST:6379/0."
        ) from None
    return client


def without_password(url: str) -> str:
    """Remove user and password from a server's address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{':' + str(parts.port) if parts.port else ''}{parts.path}"


class RedisSource:
    """A stream read by a consumer group.

    The group is set to the checkpoint's entry at each start, so that entries delivered after the checkpoint are
    delivered again. Entries are acknowledged after a checkpoint contains them.

    Args:
        client: Redis client.
        server: address of the server, for the source's name.
        stream: key of the stream.
        group, consumer: names.
        batch: maximum number of entries in one read.
    """

    def __init__(self, client: Any, server: str, stream: str, group: str, consumer: str, batch: int = _BATCH) -> None:
        self.name = f"stream {stream} of {without_password(server)}"
        self.finished = False
        self._client = client
        self._stream, self._group, self._consumer = stream, group, consumer
        self._batch = batch
        self._last, self._count = _START, 0
        self._unacknowledged: list[bytes] = []

    @property
    def position(self) -> list[Any]:
        """ID of the latest entry returned, and the number of entries ever added to the stream up to it."""
        return [self._last, self._count]

    def open(self, position: Any) -> None:
        """Start after an entry's ID.

        Raises:
            RunError: later entries were removed from the stream.
        """
        self._last = position[0] if position else _START
        try:
            self._set_group_position()
            info = self._client.xinfo_stream(self._stream)
        except redis.ResponseError as error:
            raise RunError(f"redis.events={self._stream}: {error}. Expected a stream.") from None
        # Without a position, entries trimmed before the start are not missed.
        self._count = position[1] if position else info["entries-added"] - info["length"]
        if _order(info["last-generated-id"].decode()) < _order(self._last):
            raise self._data_lost(f"the stream ends before {self._last}, which was read")
        self._check_complete(info)
        self._acknowledge_checkpointed()

    def _set_group_position(self) -> None:
        try:
            self._client.xgroup_create(self._stream, self._group, id=self._last, mkstream=True)
        except redis.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise
            self._client.xgroup_setid(self._stream, self._group, id=self._last)

    def read(self, timeout: float) -> list[SourceRecord]:
        """Read entries that are new to the group."""
        try:
            response = self._client.xreadgroup(
                self._group, self._consumer, {self._stream: ">"}, count=self._batch, block=max(int(timeout * 1000), 1)
            )
        except _CONNECTION_LOST as error:
            self._reconnect(error)
            return []
        except redis.ResponseError as error:
            raise self._data_lost(str(error)) from None
        entries = response[0][1] if isinstance(response, list) and response else []
        records = []
        for key, fields in entries:
            self._unacknowledged.append(key)
            self._last, self._count = key.decode(), self._count + 1
            content = fields.get(EVENT, EventError(f"an entry without a field {EVENT.decode()}"))
            records.append(SourceRecord(f"entry {self._last}", content))
        return records

    def _reconnect(self, error: Exception) -> None:
        """Wait for the server and continue after the last entry received."""
        for _ in range(int(_SERVER_TIMEOUT)):
            try:
                self.open(self.position)
            except _CONNECTION_LOST:
                time.sleep(1.0)
            else:
                return
        raise RunError(f"{self.name}: connection lost ({str(error)[:100]}). Start the server, then this command again.")

    def acknowledge(self) -> None:
        """Acknowledge the entries that the latest checkpoint contains."""
        if not self._unacknowledged:
            return
        try:
            self._client.xack(self._stream, self._group, *self._unacknowledged)
            info = self._client.xinfo_stream(self._stream)
        except redis.RedisError:  # the next read reports it; the next start acknowledges
            return
        self._unacknowledged = []
        self._check_complete(info)

    def backlog(self) -> int | None:
        """Count the entries still to be read."""
        try:
            groups = self._client.xinfo_groups(self._stream)
        except redis.RedisError:  # the next read reports it
            return None
        return next((group["lag"] for group in groups if group["name"] == self._group.encode()), None)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _check_complete(self, info: dict[str, Any]) -> None:
        """Raise `RunError` if entries were trimmed before they were read."""
        lost = info["entries-added"] - info["length"] - self._count
        if lost > 0:
            raise self._data_lost(f"{lost} entries after {self._last} were trimmed before they were read")

    def _data_lost(self, found: str) -> RunError:
        return RunError(
            f"redis.events={self._stream}: {found}. Raise the stream's length limit (XADD MAXLEN), and start with "
            "another paths.state and another sink."
        )

    def _acknowledge_checkpointed(self) -> None:
        """Acknowledge entries of the checkpoint whose process ended before it could acknowledge them."""
        while True:
            pending = self._client.xpending_range(self._stream, self._group, min="-", max=self._last, count=_BATCH)
            if not pending:
                return
            self._client.xack(self._stream, self._group, *(entry["message_id"] for entry in pending))


class RedisSink:
    """A stream of predictions with the entry IDs `1-0`, `2-0` and so on.

    A prediction that is written again has the same ID, so that the server rejects the duplicate.

    Args:
        client: Redis client.
        server: address of the server, for the sink's name.
        stream: key of the stream.
        classes: class names, in the order of the probabilities.
    """

    def __init__(self, client: Any, server: str, stream: str, classes: tuple[str, ...]) -> None:
        self.name = f"stream {stream} of {without_password(server)}"
        self._client = client
        self._stream = stream
        self._format = PredictionFormat(classes, csv=False)
        self._buffer: list[bytes] = []
        self._count = 0

    def open(self, committed: Any) -> int:
        """Start after the given number of predictions.

        Raises:
            RunError: the stream holds other entries.
        """
        self._count = committed or 0
        if committed is None and self._client.exists(self._stream):
            raise RunError(
                f"redis.predictions={self._stream}: this stream exists and no checkpoint of this pipeline lists it. "
                "Choose another one, or delete it."
            )
        if self._count and self._latest() < self._count:
            raise RunError(
                f"redis.predictions={self._stream}: {self._count} predictions were added, but the stream ends at entry "
                f"{self._latest()}: the server lost some. Restore its data, or start with another stream and another "
                "paths.state."
            )
        return self._count

    def _latest(self) -> int:
        """Return the number of the latest entry ever added."""
        if not self._client.exists(self._stream):
            return 0
        last = self._client.xinfo_stream(self._stream)["last-generated-id"]
        return int((last.decode() if isinstance(last, bytes) else str(last)).partition("-")[0])

    def write(self, predictions: Iterable[Prediction]) -> None:
        """Buffer predictions for the next commit."""
        self._buffer += [self._format.line(prediction).strip() for prediction in predictions]

    def commit(self) -> int:
        """Add the buffered predictions to the stream; return the number ever added."""
        try:
            with self._client.pipeline(transaction=False) as pipe:
                for number, content in enumerate(self._buffer, start=self._count + 1):
                    pipe.xadd(self._stream, {PREDICTION: content}, id=f"{number}-0")
                responses = pipe.execute(raise_on_error=False)
        except redis.RedisError as error:
            raise RunError(
                f"{self.name}: connection lost ({str(error)[:100]}). Start the server, then this command again."
            ) from None
        for number, (content, response) in enumerate(zip(self._buffer, responses, strict=True), start=self._count + 1):
            if isinstance(response, Exception):
                self._check_duplicate(number, content, response)
        self._count += len(self._buffer)
        self._buffer = []
        return self._count

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _check_duplicate(self, number: int, content: bytes, error: Exception) -> None:
        """Raise `RunError` unless the server rejected an entry that already holds the same prediction."""
        if "equal or smaller" not in str(error):
            raise RunError(
                f"redis.predictions={self._stream}: {error}. Fix it, then run the same command: it resumes."
            ) from None
        key = f"{number}-0"
        stored = self._client.xrange(self._stream, key, key)
        if not stored or stored[0][1].get(PREDICTION) != content:
            raise RunError(
                f"redis.predictions={self._stream}: entry {key} is not this pipeline's prediction. Another process "
                "writes to this stream, or it was trimmed. Start with another stream and another paths.state."
            ) from None


def _order(key: str) -> tuple[int, int]:
    """Convert an entry ID to a sortable pair."""
    time, _, number = key.partition("-")
    return int(time), int(number or 0)
