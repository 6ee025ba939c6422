"""From a source to a sink, so that a restart loses no event and predicts none twice.

A checkpoint holds the source's position, the engine's state and what of the sink counts by then. It is made in this
order: the sink's lines are written and synced, then the checkpoint is replaced, then the source hears of it. Whatever
was written after the latest checkpoint is taken back at the next start, and made again from the same events.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from ste.errors import RunError
from ste.streaming.checkpoints import Checkpoints
from ste.streaming.engine import Engine
from ste.streaming.event_sources import Item, Source
from ste.streaming.events import Event, EventError, event_of
from ste.streaming.sinks import Sink, Tail
from ste.streaming.stream_calendar import text_of

REJECTS, STATUS = "rejected.jsonl", "status.json"
_POLL = 0.2  # seconds
_SHOWN = 300  # characters of a rejected event


class Pipeline:
    """Reads, predicts and writes until the source ends or it is told to stop.

    Args:
        engine: fresh.
        source: to read.
        sink: to write.
        checkpoints: the pipeline's folder; rejected events and the counters are kept there too.
        every: seconds between checkpoints while events keep coming; without any, one is made at once.
        flush: whether the end of the source closes what the last events left open.
    """

    def __init__(
        self,
        engine: Engine,
        source: Source,
        sink: Sink,
        checkpoints: Checkpoints,
        every: float = 1.0,
        flush: bool = True,
    ) -> None:
        self._engine = engine
        self._source = source
        self._sink = sink
        self._checkpoints = checkpoints
        self._every = every
        self._flush = flush
        self._rejects = Tail(checkpoints.folder / REJECTS, "paths.state")
        self._rejected = 0
        self._read = 0  # in this run
        self._pending = True  # something has happened since the latest checkpoint

    def start(self) -> bool:
        """Go on from the latest checkpoint; False where there is none.

        Raises:
            RunError: the checkpoint is of another source, sink, feature set or frequency.
        """
        found = self._checkpoints.load()
        if found is not None:
            self._refuse_another(found.meta)
            self._engine.restore(found.meta["engine"], found.arrays, found.closes)
            self._rejected = found.meta["rejected"]
        meta: dict[str, Any] = {} if found is None else found.meta
        self._source.open(meta.get("position"))
        rejects = self._rejects.open(meta.get("rejects", 0))
        self._save(self._sink.open(meta.get("sink")), rejects)  # before a byte is written that no checkpoint knows
        self.commit()
        return found is not None

    def run(self, stopped: Callable[[], bool]) -> dict[str, Any]:
        """Work until the source is at its end or `stopped()`; the counters.

        Args:
            stopped: asked between batches.
        """
        due = time.monotonic() + self._every
        while not stopped() and not self._source.finished:
            if not self.step() and self._pending:
                due = 0.0
            if self._pending and time.monotonic() >= due:
                self.commit()
                due = time.monotonic() + self._every
        if self._source.finished and self._flush and not stopped():
            self._sink.write(self._engine.finish())
        self.commit()
        return self.status()

    def step(self) -> int:
        """Read a batch and predict; the number of events in it."""
        items = self._source.read(_POLL)
        latest = (datetime.now(UTC).date() - _EPOCH).days + 1
        for item in items:
            event = self._event(item, latest)
            if event is not None:
                self._sink.write(self._engine.feed(event))
        self._read += len(items)
        self._pending = self._pending or bool(items)
        return len(items)

    def commit(self) -> None:
        """Make all that happened last."""
        self._save(self._sink.commit(), self._rejects.commit())
        self._source.acknowledge()
        self._pending = False
        write_whole(self._checkpoints.folder / STATUS, orjson.dumps(self.status(), option=orjson.OPT_INDENT_2))

    def _save(self, sink: Any, rejects: int) -> None:
        meta, arrays = self._engine.state()
        self._checkpoints.save(
            {
                "source": self._source.name,
                "sink_name": self._sink.name,
                "position": self._source.position,
                "sink": sink,
                "rejects": rejects,
                "rejected": self._rejected,
                "engine": meta,
            },
            arrays,
            self._engine.features.take_closes(),
        )

    def status(self) -> dict[str, Any]:
        """Counters since the stream began, how far it is, and what waits."""
        features, counts = self._engine.features, self._engine.counts
        return {
            "events": dict(sorted(features.counts.items())),
            "rejected": self._rejected,
            "predictions": {kind: counts[kind] for kind in ("final", "provisional", "short", "unusable")},
            "over": None if features.over is None else text_of(features.over),
            "latest": None if features.latest is None else text_of(features.latest),
            "waiting": self._source.backlog(),
            "read": self._read,
        }

    def close(self) -> None:
        """Let go of everything."""
        for part in (self._source, self._sink, self._rejects, self._checkpoints):
            part.close()

    def _event(self, item: Item, latest: int) -> Event | None:
        """The event at one place; None if it is none, which is told in the file of rejects."""
        content = item.content
        try:
            if isinstance(content, EventError):
                raise content
            if isinstance(content, bytes):
                content = _json(content)
            return event_of(content, self._engine.features.calendar, latest)
        except EventError as reason:
            shown = item.content.decode(errors="replace") if isinstance(item.content, bytes) else str(item.content)
            told = {"where": item.where, "reason": str(reason), "event": shown[:_SHOWN]}
            self._rejects.write(orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE))
            self._rejected += 1
            return None

    def _refuse_another(self, meta: dict[str, Any]) -> None:
        mine, card = self._engine.state()[0], meta["engine"]
        for key, found, asked in (
            ("source", meta["source"], self._source.name),
            ("sink", meta["sink_name"], self._sink.name),
            ("model", card["feature_set"], mine["feature_set"]),
            ("model", card["frequency"], mine["frequency"]),
            ("model", ", ".join(card["names"]), ", ".join(mine["names"])),
        ):
            if found != asked:
                raise RunError(
                    f"{key}: the checkpoint in {self._checkpoints.folder} is of {found}, and this is {asked}. "
                    "Begin anew with another paths.state, or go on as before."
                )


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).date()


def _json(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise EventError(f"not JSON: {str(error)[:100]}") from None


def write_whole(path: Path, content: bytes) -> None:
    """Replace a file whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)
