"""Run events from a source through the engine to a sink, exactly once across restarts.

A checkpoint holds the source's position, the engine's state and the committed length of the sink. The order is: write
and sync the sink, then replace the checkpoint. Output after the latest checkpoint is truncated at the next start and
produced again from the same events.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Any

import orjson

from ste.data.storage.files import atomic_file
from ste.errors import RunError
from ste.streaming.checkpoints import Checkpoints
from ste.streaming.engine import Engine
from ste.streaming.event_sources import EventSource, SourceRecord
from ste.streaming.events import Event, EventError
from ste.streaming.sinks import CommittedFile, Sink
from ste.streaming.stream_calendar import iso_date_of

REJECTS, STATUS = "rejected.jsonl", "status.json"
_POLL = 0.2  # seconds
_MAX_REJECT = 300  # characters of a rejected event that are written
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).date()


class Pipeline:
    """Read events, predict and write until the source ends or a stop is requested.

    Args:
        engine: a new engine; `start` restores its state.
        source: event source.
        sink: prediction sink.
        checkpoints: folder of the pipeline; rejected events and the counters are written there too.
        checkpoint_interval: seconds between checkpoints while events arrive; when none arrive, one is made at once.
        flush: whether the end of the source closes the last day.
    """

    def __init__(
        self,
        engine: Engine,
        source: EventSource,
        sink: Sink,
        checkpoints: Checkpoints,
        checkpoint_interval: float = 1.0,
        flush: bool = True,
    ) -> None:
        self._engine = engine
        self._source = source
        self._sink = sink
        self._checkpoints = checkpoints
        self._interval = checkpoint_interval
        self._flush = flush
        self._rejects = CommittedFile(checkpoints.folder / REJECTS, "paths.state")
        self._rejected = 0
        self._read = 0  # records of this process
        self._changed = True  # since the latest checkpoint

    def start(self) -> bool:
        """Resume from the latest checkpoint; False if there is none.

        Raises:
            RunError: the checkpoint belongs to another source or sink, or to a model of another frequency, calendar or
                other feature definitions.
        """
        checkpoint = self._checkpoints.load()
        if checkpoint is not None:
            self._check_same_pipeline(checkpoint.meta)
            self._engine.restore(checkpoint.meta["engine"], checkpoint.arrays, checkpoint.records)
            self._rejected = checkpoint.meta["rejected"]
        meta: dict[str, Any] = {} if checkpoint is None else checkpoint.meta
        self._source.open(meta.get("position"))
        rejects = self._rejects.open(meta.get("rejects", 0))
        self._save(self._sink.open(meta.get("sink")), rejects)  # before the sink holds a byte that no checkpoint counts
        self.commit()
        return checkpoint is not None

    def run(self, stop_requested: Callable[[], bool]) -> dict[str, Any]:
        """Process the source to its end or until `stop_requested()`, which is called between batches.

        Returns:
            The counters (`status`).
        """
        due = time.monotonic() + self._interval
        while not stop_requested() and not self._source.finished:
            if not self.step() and self._changed:
                due = 0.0
            if self._changed and time.monotonic() >= due:
                self.commit()
                due = time.monotonic() + self._interval
        if self._source.finished and self._flush and not stop_requested():
            self._sink.write(self._engine.finish())
        self.commit()
        return self.status()

    def step(self) -> int:
        """Read and process one batch; return its number of records."""
        records = self._source.read(_POLL)
        tomorrow = (datetime.now(UTC).date() - _EPOCH).days + 1
        for record in records:
            event = self._parse(record, tomorrow)
            if event is not None:
                self._sink.write(self._engine.feed(event))
        self._read += len(records)
        self._changed = self._changed or bool(records)
        return len(records)

    def commit(self) -> None:
        """Predict the periods that closed, commit the sink, save a checkpoint and write the counters."""
        self._sink.write(self._engine.predict())
        self._save(self._sink.commit(), self._rejects.commit())
        self._changed = False
        with atomic_file(self._checkpoints.folder / STATUS) as partial:
            partial.write_bytes(orjson.dumps(self.status(), option=orjson.OPT_INDENT_2))

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
            self._engine.features.take_records(),
        )

    def status(self) -> dict[str, Any]:
        """Return the counters since the stream's start, the watermark and the backlog."""
        features, counts = self._engine.features, self._engine.counts
        return {
            "events": dict(sorted(features.counts.items())),
            "rejected": self._rejected,
            "unread": dict(features.own_columns.unread.most_common()),
            "predictions": {kind: counts[kind] for kind in ("final", "provisional", "short", "unusable")},
            "watermark": None if features.watermark is None else iso_date_of(features.watermark),
            "latest": None if features.latest is None else iso_date_of(features.latest),
            "backlog": self._source.backlog(),
            "read": self._read,
        }

    def close(self) -> None:
        """Close source, sink, rejects and checkpoints."""
        for part in (self._source, self._sink, self._rejects, self._checkpoints):
            part.close()

    def _parse(self, record: SourceRecord, latest: int) -> Event | None:
        """Parse a record; write an invalid one to the rejects and return None."""
        content = record.content
        try:
            if isinstance(content, EventError):
                raise content
            if isinstance(content, bytes):
                content = _parse_json(content)
            return self._engine.parse(content, latest)
        except EventError as reason:
            raw = record.content
            text = raw.decode(errors="replace") if isinstance(raw, bytes) else str(raw)
            reject = {"where": record.where, "reason": str(reason), "event": text[:_MAX_REJECT]}
            self._rejects.write(orjson.dumps(reject, option=orjson.OPT_APPEND_NEWLINE))
            self._rejected += 1
            return None

    def _check_same_pipeline(self, meta: dict[str, Any]) -> None:
        engine, saved = self._engine.state()[0], meta["engine"]
        for key, found, expected in (
            ("source", meta["source"], self._source.name),
            ("sink", meta["sink_name"], self._sink.name),
            ("model", *_features_in_words(saved["definitions"], engine["definitions"])),
            ("model", f"{saved['frequency']} rows", f"{engine['frequency']} rows"),
            ("model", _lags_in_words(saved["extra_lag"]), _lags_in_words(engine["extra_lag"])),
            ("model", f"the calendar {saved['calendar']}", f"the calendar {engine['calendar']}"),
        ):
            if found != expected:
                raise RunError(
                    f"{key}: the checkpoint in {self._checkpoints.folder} belongs to {found}, not to {expected}. "
                    "Start with another paths.state, or use the settings of the checkpoint."
                )


def _parse_json(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise EventError(f"not JSON: {str(error)[:100]}") from None


def _lags_in_words(lags: dict[str, int]) -> str:
    return f"own columns with {', '.join(f'extra_lag.{name}={days}' for name, days in lags.items()) or 'no extra_lag'}"


def _features_in_words(saved: dict[str, Any], current: dict[str, Any]) -> tuple[str, str]:
    """Return what distinguishes two definitions of features; two equal texts where their values are the same."""
    before, after = _values_of(saved), _values_of(current)
    if before == after and saved["lookback"] == current["lookback"]:
        return "", ""
    if saved["name"] != current["name"]:
        return f"features {saved['name']}", f"features {current['name']}"
    both = zip_longest(before, after, fillvalue="no further column")
    found, expected = next((pair for pair in both if pair[0] != pair[1]), ("", ""))
    if found == expected:
        found, expected = (f"a look-back of {one['lookback']} bars" for one in (saved, current))
    return f"features {saved['name']} with {found}", expected


def _values_of(definitions: dict[str, Any]) -> list[str]:
    """Return what decides the values of each column, in words."""
    columns = definitions["columns"]
    fills = [f", {one['fill']} where undefined" if "fill" in one else "" for one in columns]
    return [f"{one['name']} = {one['expr']}{fill}" for one, fill in zip(columns, fills, strict=True)]
