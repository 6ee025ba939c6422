"""Redis Streams as source and sink (https://redis.io/docs/latest/develop/data-types/streams).

An event is an entry with a field `event`, its JSON; a prediction one with a field `prediction`.
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
from ste.streaming.event_sources import Item
from ste.streaming.events import EventError
from ste.streaming.sinks import Format

EVENT, PREDICTION = b"event", b"prediction"
_BATCH = 1024
_START = "0-0"
_LOST = (redis.ConnectionError, redis.TimeoutError)
_PATIENCE = 30.0  # seconds for a server to come back


def connect(url: str, retries: int = 0) -> "redis.Redis[bytes]":
    """A client of the server.

    Args:
        url: its address.
        retries: of each command whose connection breaks.

    Raises:
        RunError: it does not answer.
    """
    # Commands are sent again after a lost connection; XREADGROUP is not, since an answer that is lost was delivered.
    retry = Retry(ExponentialBackoff(cap=1.0, base=0.05), retries)
    try:
        client = redis.Redis.from_url(url, retry=retry, socket_timeout=_PATIENCE)
        client.ping()
    except (redis.RedisError, ValueError) as error:
        raise RunError(
            f"redis.url={place(url)}: no server answers there ({str(error)[:100]}). Start one (redis-server), or give "
            "its address: redis.url=redis://HOST:6379/0."
        ) from None
    return client


def place(url: str) -> str:
    """A server's address without its password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{':' + str(parts.port) if parts.port else ''}{parts.path}"


class RedisSource:
    """A stream read by a consumer group.

    The checkpoint says where to go on, and the group is put back there at each start: an entry that was delivered
    and not yet in a checkpoint comes again. Entries are acknowledged once a checkpoint holds them.

    Args:
        client: of the server.
        server: its address, for the name.
        stream: key.
        group, consumer: names.
        batch: most entries read at once.
    """

    def __init__(self, client: Any, server: str, stream: str, group: str, consumer: str, batch: int = _BATCH) -> None:
        self.name = f"stream {stream} of {place(server)}"
        self.finished = False
        self._client = client
        self._stream, self._group, self._consumer = stream, group, consumer
        self._batch = batch
        self._last, self._count = _START, 0
        self._unacknowledged: list[bytes] = []

    @property
    def position(self) -> list[Any]:
        """Id of the latest entry that was given, and how many the stream had had with it."""
        return [self._last, self._count]

    def open(self, position: Any) -> None:
        """Begin after an entry's id.

        Raises:
            RunError: entries after it are gone from the stream.
        """
        self._last = position[0] if position else _START
        try:
            self._seat()
            info = self._client.xinfo_stream(self._stream)
        except redis.ResponseError as error:
            raise RunError(f"redis.events={self._stream}: {error}. Expected a stream.") from None
        # What was cut off before the beginning is not missed.
        self._count = position[1] if position else info["entries-added"] - info["length"]
        if _order(info["last-generated-id"].decode()) < _order(self._last):
            raise self._other(f"it ends before {self._last}, which was read")
        self._check_whole(info)
        self._forget()

    def _seat(self) -> None:
        """Put the group behind the position."""
        try:
            self._client.xgroup_create(self._stream, self._group, id=self._last, mkstream=True)
        except redis.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise
            self._client.xgroup_setid(self._stream, self._group, id=self._last)

    def read(self, timeout: float) -> list[Item]:
        """Entries that are new to the group."""
        try:
            found = self._client.xreadgroup(
                self._group, self._consumer, {self._stream: ">"}, count=self._batch, block=max(int(timeout * 1000), 1)
            )
        except _LOST as error:
            self._again(error)
            return []
        except redis.ResponseError as error:
            raise self._other(str(error)) from None
        entries = found[0][1] if isinstance(found, list) and found else []
        items = []
        for key, fields in entries:
            self._unacknowledged.append(key)
            self._last, self._count = key.decode(), self._count + 1
            content = fields.get(EVENT, EventError(f"an entry without a field {EVENT.decode()}"))
            items.append(Item(f"entry {self._last}", content))
        return items

    def _again(self, error: Exception) -> None:
        """Wait for the server and go on after the last entry that arrived."""
        for _ in range(int(_PATIENCE)):
            try:
                self.open(self.position)
            except _LOST:
                time.sleep(1.0)
            else:
                return
        raise RunError(f"{self.name}: the server is gone ({str(error)[:100]}). Start it, and this command again.")

    def acknowledge(self) -> None:
        """Tell the server of what a checkpoint holds."""
        if not self._unacknowledged:
            return
        try:
            self._client.xack(self._stream, self._group, *self._unacknowledged)
            info = self._client.xinfo_stream(self._stream)
        except redis.RedisError:  # the next read tells; the next start acknowledges
            return
        self._unacknowledged = []
        self._check_whole(info)

    def backlog(self) -> int | None:
        """Entries."""
        try:
            groups = self._client.xinfo_groups(self._stream)
        except redis.RedisError:  # the next read tells
            return None
        return next((group["lag"] for group in groups if group["name"] == self._group.encode()), None)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _check_whole(self, info: dict[str, Any]) -> None:
        """Raise where more was cut off the stream than was read of it."""
        lost = info["entries-added"] - info["length"] - self._count
        if lost > 0:
            raise self._other(f"{lost} entries after {self._last} were cut off before they were read")

    def _other(self, found: str) -> RunError:
        return RunError(
            f"redis.events={self._stream}: {found}. Let the stream keep more (XADD MAXLEN), and begin anew with "
            "another paths.state and another sink."
        )

    def _forget(self) -> None:
        """Acknowledge what a checkpoint held when its process ended before it could say so."""
        while True:
            waiting = self._client.xpending_range(self._stream, self._group, min="-", max=self._last, count=_BATCH)
            if not waiting:
                return
            self._client.xack(self._stream, self._group, *(entry["message_id"] for entry in waiting))


class RedisSink:
    """A stream of predictions, numbered by the entries' ids: `1-0`, `2-0` and so on.

    A prediction that is made again has the id it had, and the server refuses it.

    Args:
        client: of the server.
        server: its address, for the name.
        stream: key.
        classes: names, in the order of the probabilities.
    """

    def __init__(self, client: Any, server: str, stream: str, classes: tuple[str, ...]) -> None:
        self.name = f"stream {stream} of {place(server)}"
        self._client = client
        self._stream = stream
        self._format = Format(classes, commas=False)
        self._waiting: list[bytes] = []
        self._count = 0

    def open(self, committed: Any) -> int:
        """Begin after so many predictions.

        Raises:
            RunError: the stream holds something else.
        """
        self._count = committed or 0
        if committed is None and self._client.exists(self._stream):
            raise RunError(
                f"redis.predictions={self._stream}: this stream was not written by this pipeline (no checkpoint knows "
                "it). Choose another one, or delete it."
            )
        if self._count and self._latest() < self._count:
            raise RunError(
                f"redis.predictions={self._stream}: {self._count} predictions were added and the stream ends at number "
                f"{self._latest()}: the server lost some. Put its data back, or begin anew with another stream and "
                "another paths.state."
            )
        return self._count

    def _latest(self) -> int:
        """Number of the latest entry that the stream ever had."""
        if not self._client.exists(self._stream):
            return 0
        last = self._client.xinfo_stream(self._stream)["last-generated-id"]
        return int((last.decode() if isinstance(last, bytes) else str(last)).partition("-")[0])

    def write(self, predictions: Iterable[Prediction]) -> None:
        """Take predictions."""
        self._waiting += [self._format.line(prediction).strip() for prediction in predictions]

    def commit(self) -> int:
        """Add them to the stream; how many it has had."""
        try:
            with self._client.pipeline(transaction=False) as pipe:
                for number, content in enumerate(self._waiting, start=self._count + 1):
                    pipe.xadd(self._stream, {PREDICTION: content}, id=f"{number}-0")
                answers = pipe.execute(raise_on_error=False)
        except redis.RedisError as error:
            raise RunError(
                f"{self.name}: the server is gone ({str(error)[:100]}). Start it, and this command again."
            ) from None
        for number, (content, answer) in enumerate(zip(self._waiting, answers, strict=True), start=self._count + 1):
            if isinstance(answer, Exception):
                self._accept(number, content, answer)
        self._count += len(self._waiting)
        self._waiting = []
        return self._count

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _accept(self, number: int, content: bytes, refusal: Exception) -> None:
        """A refusal is right where the stream already holds the same prediction."""
        if "equal or smaller" not in str(refusal):
            raise RunError(f"redis.predictions={self._stream}: {refusal}. The same command goes on.") from None
        key = f"{number}-0"
        held = self._client.xrange(self._stream, key, key)
        if held and held[0][1].get(PREDICTION) != content:
            held = []
        if not held:
            raise RunError(
                f"redis.predictions={self._stream}: entry {key} is not the prediction that belongs there. Others write "
                "to this stream, or it was cut. Begin anew with another stream and another paths.state."
            ) from None


def _order(key: bytes | str) -> tuple[int, int]:
    text = key.decode() if isinstance(key, bytes) else key
    time, _, number = text.partition("-")
    return int(time), int(number or 0)
