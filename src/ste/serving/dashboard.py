"""The dashboard's content, computed in the background once per deployed model version."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from threading import Thread
from typing import Any

import orjson

from ste.config.serve_settings import ServeSettings
from ste.errors import SteError
from ste.inference.card_market import open_market
from ste.inference.onnx_model import ServedModel
from ste.monitoring.drift import DriftReport
from ste.monitoring.market_history import MarketHistory, market_history
from ste.serving.dashboard_data import (
    drift_json,
    latest_predictions,
    model_json,
    record_json,
    tested_json,
    ticker_json,
)

log = logging.getLogger(__name__)

NONE, COMPUTING, READY, FAILED = "none", "computing", "ready", "failed"


@dataclass
class DashboardState:
    """State of the market history of one model version.

    Attributes:
        model: the model.
        state: `none` (no bars given), `computing`, `ready` or `failed`.
        message: reason of a failure.
        history: the market history, if ready.
    """

    model: ServedModel
    state: str
    message: str = ""
    history: MarketHistory | None = None


class Dashboard:
    """Content of the dashboard as JSON. Thread-safe.

    Args:
        settings: settings of the service, with or without market files.
        model: returns the deployed model.
        drift: returns the drift of the requests, or None if it is not monitored.
    """

    def __init__(
        self,
        settings: ServeSettings,
        model: Callable[[], ServedModel],
        drift: Callable[[], DriftReport | None] = lambda: None,
    ) -> None:
        self._settings, self._model, self._drift = settings, model, drift
        self._state: DashboardState | None = None
        self._thread: Thread | None = None

    def refresh(self) -> DashboardState:
        """Return the current state; start the computation if the deployed model has changed."""
        model = self._model()
        if self._state is None or self._state.model.version != model.version:
            self._state = DashboardState(model, NONE if self._settings.bars is None else COMPUTING)
            if self._settings.bars is not None:
                self._thread = Thread(target=self._compute, args=(self._state,), name="dashboard", daemon=True)
                self._thread.start()
        return self._state

    def wait(self) -> None:
        """Wait for the current computation."""
        if self._thread is not None:
            self._thread.join()

    def summary(self) -> bytes:
        """Return the model, its test metrics, track record and drift."""
        state = self.refresh()
        card, history = state.model.card, state.history
        record = history.record if history else None
        requests = self._drift()
        drift = None
        if requests is not None and requests.examples:
            drift = drift_json(requests, record, "the requests of this service")
        elif history is not None and history.drift is not None:
            drift = drift_json(history.drift, record, "the given bars")
        return _json(
            {
                "model": model_json(card, state.model.version),
                "tested": tested_json(card),
                "history": {"state": state.state, "message": state.message},
                "record": None if record is None else record_json(record),
                "drift": drift,
                "notes": list(history.notes) if history else [],
            }
        )

    def tickers(self) -> bytes:
        """Return every ticker with its latest prediction."""
        state = self.refresh()
        tickers = [] if state.history is None else latest_predictions(state.history, state.model.card)
        return _json({"state": state.state, "message": state.message, "tickers": tickers})

    def ticker(self, name: str) -> bytes | None:
        """Return the history of a ticker; None if it does not exist."""
        state = self.refresh()
        if state.history is None:
            return None
        content = ticker_json(state.history, name, state.model.card)
        return None if content is None else _json(content)

    def _compute(self, state: DashboardState) -> None:
        try:
            state.history = market_history(state.model, open_market(state.model.card, vars(self._settings)))
            state.state = READY
        except Exception as error:
            known = isinstance(error, SteError)
            state.message = str(error) if known else "The history could not be computed. See the service's log."
            state.state = FAILED
            log.warning("the dashboard has no market history: %s", error, exc_info=not known)


def _json(content: Any) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
