"""The page's content, computed in the background: once for each model that comes into service."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from threading import Lock, Thread
from typing import Any

import orjson

from ste.config.serve_settings import ServeSettings
from ste.errors import SteError
from ste.inference.card_market import open_market
from ste.inference.onnx_model import ServedModel
from ste.inference.reference import ReferenceDistributions
from ste.monitoring.drift import Drift
from ste.monitoring.market_history import History, history
from ste.serving import dashboard_data as record

log = logging.getLogger(__name__)

NONE, WORKING, READY, FAILED = "none", "working", "ready", "failed"
_KEPT = 256  # tickers whose JSON is kept


@dataclass(frozen=True, eq=False)
class Shown:
    """What is known of a model's past.

    Attributes:
        model: it is of.
        state: `none` (no bars were given), `working`, `ready` or `failed`; `message` says why.
        history: where it is ready.
        shares: of the classes in training, or None.
    """

    model: ServedModel
    state: str
    message: str = ""
    history: History | None = None
    shares: list[float] | None = None


class Book:
    """What the page shows. Safe to call from several threads.

    Args:
        settings: of the service, with the files of a market or none.
        model: in service.
        drift: what has moved in the requests served, or None where they are not watched.
    """

    def __init__(
        self,
        settings: ServeSettings,
        model: Callable[[], ServedModel],
        drift: Callable[[], Drift | None] = lambda: None,
    ) -> None:
        self._settings, self._model, self._drift = settings, model, drift
        self._lock = Lock()
        self._shown: Shown | None = None
        self._thread: Thread | None = None
        self._ticker = lru_cache(maxsize=_KEPT)(self._ticker_of)

    @property
    def now(self) -> Shown:
        """What there is; begins to compute where the model in service has changed."""
        model = self._model()
        with self._lock:
            if self._shown is None or self._shown.model.version != model.version:
                given = self._settings.bars is not None
                self._shown = Shown(model, WORKING if given else NONE)
                if given:
                    self._thread = Thread(target=self._compute, args=(model,), name="page", daemon=True)
                    self._thread.start()
            return self._shown

    def wait(self, seconds: float | None = None) -> None:
        """Until what was begun is done."""
        if self._thread is not None:
            self._thread.join(seconds)

    def summary(self) -> bytes:
        """The model, its figures, its record and its drift, as JSON."""
        shown = self.now
        card, past = shown.model.card, shown.history
        found = past.record if past else None
        served = self._drift()
        drift = None
        if served is not None and served.examples:
            drift = record.drifted(served, found, "the requests served")
        elif past is not None and past.drift is not None:
            drift = record.drifted(past.drift, found, "the bars given")
        return _json(
            {
                "model": record.about(card, shown.model.version),
                "tested": record.tested(card),
                "history": {"state": shown.state, "message": shown.message},
                "record": None if found is None else record.record(found),
                "drift": drift,
                "notes": list(past.notes) if past else [],
            }
        )

    def tickers(self) -> bytes:
        """Every ticker with its newest prediction, as JSON."""
        shown = self.now
        listed = [] if shown.history is None else record.latest(shown.history, shown.model.card)
        return _json({"state": shown.state, "message": shown.message, "tickers": listed})

    def ticker(self, name: str) -> bytes | None:
        """A ticker's past as JSON; None where there is none."""
        return self._ticker(self.now, name)

    @staticmethod
    def _ticker_of(shown: Shown, name: str) -> bytes | None:
        if shown.history is None:
            return None
        content = record.ticker(shown.history, name, shown.model.card, shown.shares)
        return None if content is None else _json(content)

    def _compute(self, model: ServedModel) -> None:
        begun = Shown(model, WORKING)
        try:
            past = history(model, open_market(model.card, vars(self._settings)))
            reference = ReferenceDistributions.from_dict(model.card.reference) if model.card.reference else None
            done = replace(begun, state=READY, history=past, shares=reference.class_fractions if reference else None)
        except SteError as error:
            done = replace(begun, state=FAILED, message=str(error))
            log.warning("the page has no past to show: %s", error)
        except Exception:
            done = replace(begun, state=FAILED, message="The past could not be computed; the service's log says why.")
            log.exception("the page has no past to show")
        with self._lock:
            if self._shown is not None and self._shown.model.version == model.version:
                self._shown = done


def _json(content: Any) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
