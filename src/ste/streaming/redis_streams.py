"""Redis Streams as source and sink (https://redis.io/docs/latest/develop/data-types/streams).

An event is an entry with a field `event` that holds its JSON; a prediction is one with a field `prediction`.
"""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from ste.errors import RunError
from ste.streaming.engine import Prediction
from ste.streaming.event_sources import EventSource, SourceRecord
from ste.streaming.events import EventError
from ste.streaming.sinks import PredictionFormat, Sink

EVENT, PREDICTION = b"event", b"prediction"
_BATCH = 1024
_START = "0-0"
_SERVER_TIMEOUT = 30.0  # seconds for a response
_RETRIES = 6  # of a command and, in each, of connecting: half a minute in all


def connect(url: str) -> "redis.Redis[bytes]":
    """Connect to a server; a command whose connection breaks is sent again.

    Raises:
        RunError: the server does not answer.
    """
    try:
        client = redis.Redis.from_url(url, retry=Retry(ExponentialBackoff(), 0), socket_timeout=_SERVER_TIMEOUT)
        client.ping()
    except (redis.RedisError, ValueError) as error:
        raise RunError(
            f"redis.url={without_password(url)}: cannot connect to a server ({str(error)[:100]}). Start one "
            "(redis-server), or give its address: redis.url=redis://HOST:6379/0."
        ) from None
    client.set_retry(Retry(ExponentialBackoff(cap=1.0, base=0.05), _RETRIES))
    return client


def without_password(url: str) -> str:
    """Remove user and password from a server's address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{':' + str(parts.port) if parts.port else ''}{parts.path}"


class RedisSource(EventSource):
    """A stream, read after the ID of the latest entry.

    Args:
        client: Redis client.
        server: address of the server, for the source's name.
        stream: key of the stream.
        batch: maximum number of entries in one read.
    """

    def __init__(self, client: Any, server: str, stream: str, batch: int = _BATCH) -> None:
        self.name = f"stream {stream} of {without_password(server)}"
        self._client, self._stream, self._batch = client, stream, batch
        self._last, self._count, self._added = _START, 0, 0

    @property
    def position(self) -> list[Any]:
        """ID of the latest entry returned, and the number of entries ever added to the stream up to it."""
        return [self._last, self._count]

    def open(self, position: Any) -> None:
        """Start after an entry's ID.

        Raises:
            RunError: later entries were removed from the stream.
        """
        try:
            added, length, _ = _stream_state(self._client, self._stream)
        except redis.ResponseError as error:
            raise RunError(f"redis.events={self._stream}: {error}. Expected a stream.") from None
        # Without a position, entries trimmed before the start are not missed.
        self._last, self._count = position or (_START, added - length)
        self._check_complete()

    def read(self, timeout: float) -> list[SourceRecord]:
        """Read the entries after the latest one."""
        try:
            self._check_complete()
            response = self._client.xread(
                {self._stream: self._last}, count=self._batch, block=max(int(timeout * 1000), 1)
            )
        except redis.RedisError as error:
            raise _connection_lost(self.name, error) from None
        records = []
        for key, fields in response[0][1] if response else []:
            self._last, self._count = key.decode(), self._count + 1
            content = fields.get(EVENT, EventError(f"an entry without a field {EVENT.decode()}"))
            records.append(SourceRecord(f"entry {self._last}", content))
        return records

    def backlog(self) -> int:
        """Count the entries still to be read, as of the latest read."""
        return max(self._added - self._count, 0)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _check_complete(self) -> None:
        """Raise `RunError` if entries were removed before they were read, or the server lost those that were."""
        self._added, length, last = _stream_state(self._client, self._stream)
        found = ""
        if _order(last) < _order(self._last):
            found = f"the stream ends before {self._last}, which was read"
        elif (lost := self._added - length - self._count) > 0:
            found = f"{lost} entries after {self._last} were trimmed before they were read"
        if found:
            raise RunError(
                f"redis.events={self._stream}: {found}. Raise the stream's length limit (XADD MAXLEN), and start with "
                "another paths.state and another sink."
            )


class RedisSink(Sink):
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
        latest = int(_stream_state(self._client, self._stream)[2].partition("-")[0])
        if latest < self._count:
            raise RunError(
                f"redis.predictions={self._stream}: {self._count} predictions were added, but the stream ends at entry "
                f"{latest}: the server lost some. Restore its data, or start with another stream and another "
                "paths.state."
            )
        return self._count

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
            raise _connection_lost(self.name, error) from None
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


def _stream_state(client: Any, stream: str) -> tuple[int, int, str]:
    """Return how many entries were ever added to a stream, its length, and the ID of the latest entry ever added."""
    try:
        info = client.xinfo_stream(stream)
    except redis.ResponseError as error:
        if "no such key" not in str(error):
            raise
        return 0, 0, _START
    return info["entries-added"], info["length"], info["last-generated-id"].decode()


def _connection_lost(name: str, error: Exception) -> RunError:
    return RunError(f"{name}: connection lost ({str(error)[:100]}). Start the server, then this command again.")


def _order(key: str) -> tuple[int, int]:
    """Convert an entry ID to a sortable pair."""
    time, _, number = key.partition("-")
    return int(time), int(number or 0)
