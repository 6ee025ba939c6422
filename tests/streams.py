"""Small market streams and a model for them, shared by the tests of the live pipeline."""

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd

from onnx_files import tiny_card, tiny_probabilities
from ste.config.live_settings import ReplaySettings
from ste.inference.model_card import ModelCard
from ste.market.calendar import TradingCalendar
from ste.streaming.replay import Replay


class TinyClassifier:
    """`onnx_files.tiny_model` without a file."""

    def __init__(self, version: str = "tiny", **changes: Any) -> None:
        self.card: ModelCard = tiny_card(**changes)
        self.version = version

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        return tiny_probabilities(self.card, features).astype(np.float32)


def small_stream(tickers: int = 3, count: int = 130, seed: int = 0, last: str = "2024-11-29") -> list[dict[str, Any]]:
    """Events in the order of their days: bars of `count` sessions, and some news, releases and statements."""
    rng = np.random.default_rng(seed)
    end = pd.Timestamp(last)
    days = TradingCalendar().sessions(end - pd.Timedelta(days=2 * count + 20), end)[-count:].strftime("%Y-%m-%d")
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.02, (count, tickers)), axis=0))
    events: list[dict[str, Any]] = []
    for day, closes in zip(days, close, strict=True):
        if rng.random() < 0.1:
            events.append({"kind": "policy", "date": day, "impact": float(rng.integers(0, 3))})
        if rng.random() < 0.3:
            events.append({"kind": "macro", "series": "vix", "release_date": day, "value": 20 + rng.normal()})
        for number, price in enumerate(closes.tolist()):
            name = f"T{number}"
            if rng.random() < 0.3:
                values = {"count": int(rng.integers(1, 9)), "sentiment": rng.uniform(-1, 1), "relevance": rng.random()}
                events.append({"kind": "news", "ticker": name, "date": day, **values})
            bar = {"open": price * 0.99, "high": price * 1.02, "low": price * 0.98, "close": price}
            events.append({"kind": "bar", "ticker": name, "date": day, **bar, "volume": float(rng.integers(1, 10**6))})
    return events


def lines(events: list[dict[str, Any]]) -> bytes:
    """As JSON lines."""
    return b"".join(orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE) for event in events)


def market_files(folder: Path, events: list[dict[str, Any]]) -> dict[str, str]:
    """The events as market files, by kind."""
    files = {}
    for kind, name in {"bar": "bars", "news": "news", "macro": "macro", "policy": "policy"}.items():
        rows = [
            {key: value for key, value in event.items() if key != "kind"} for event in events if event["kind"] == kind
        ]
        files[name] = str(folder / f"{name}.csv")
        pd.DataFrame(rows).to_csv(files[name], index=False)
    return files


def replay_of(files: dict[str, str], batch: int = 1024, card: ModelCard | None = None, **settings: Any) -> Replay:
    """The files as a source, for a tiny model."""
    return Replay(card or tiny_card(), ReplaySettings(**files, **settings), batch)
