"""The predictions table, from which every metric, verdict and page is computed."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ste.data.sample import Sample
from ste.data.storage.files import atomic_file
from ste.errors import DataError
from ste.market.calendar import Periods, trading_calendar
from ste.market.intraday import INTRADAY, IntradayPeriods
from ste.schema import EXCHANGE, SPLITS, probability_names

BAYES = "bayes"
"""Prefix of the true probabilities of a synthetic market."""

_META = b"ste"


@dataclass(frozen=True)
class Predictions:
    """Probabilities of a model and its baselines for the same rows, with the labels and returns.

    Columns of `frame`: `date` (the row's close), `ticker`, `split`, `fold` (of walk-forward or combinatorial
    validation, else 0), `path` (of combinatorial validation, else 0; each path holds a row once), `label` (index into
    `classes`), `return` (simple, over the horizon), the model's `p_downtrend` ..., and the same columns with a prefix
    for each baseline (`majority.p_downtrend`) and, for a synthetic market, the truth (`bayes.p_downtrend`). Predictions
    of other tools may have further columns: `score`, by which a model without probabilities ranks its rows, and
    `period`, the number of each row's period where no calendar gives it.

    Attributes:
        frame: one row per example (and path).
        classes: names in label order.
        frequency: `weekly`, `daily`, `monthly`, or of `IntradayPeriods`.
        horizon: periods that a label looks ahead.
        model: name to print.
        samples: by split, of splits that hold some of their tickers only: how much of the split that is.
        calendar: whose sessions number the periods, see `market.calendar`.
        without_probabilities: the model (an empty name) and the baselines that predict a class or a score; their
            columns of probabilities order the rows and choose the class, and are no probabilities.
    """

    frame: pd.DataFrame
    classes: tuple[str, ...]
    frequency: str = "weekly"
    horizon: int = 1
    model: str = "model"
    samples: Mapping[str, Sample] = field(default_factory=dict)
    calendar: str = EXCHANGE
    without_probabilities: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.frame)

    @cached_property
    def labels(self) -> np.ndarray:
        """int64 `[N]`."""
        return self.frame["label"].to_numpy(dtype=np.int64)

    @cached_property
    def returns(self) -> np.ndarray:
        """Simple return over the horizon, float64 `[N]`."""
        return self.frame["return"].to_numpy(dtype=np.float64)

    @cached_property
    def periods(self) -> np.ndarray:
        """Calendar number of each row's week, session or month, int64 `[N]`."""
        periods = self.row_periods
        if isinstance(periods, IntradayPeriods):
            return self.frame["period"].to_numpy(dtype=np.int64)
        return periods.index(self.frame["date"])

    @property
    def row_periods(self) -> Periods | IntradayPeriods:
        """The periods that the rows cover."""
        if self.frequency.startswith(INTRADAY):
            return IntradayPeriods.from_name(self.frequency)
        return Periods(self.frequency, trading_calendar(self.calendar))

    @cached_property
    def probs(self) -> np.ndarray:
        """The model's probabilities, float64 `[N, C]`."""
        return self._probs("")

    @property
    def baselines(self) -> tuple[str, ...]:
        """Names of the baselines, in column order."""
        prefixes = dict.fromkeys(name.split(".")[0] for name in map(str, self.frame) if "." in name)
        return tuple(name for name in prefixes if name != BAYES)

    def baseline(self, name: str) -> np.ndarray:
        """A baseline's probabilities, float64 `[N, C]`; those of persistence are one-hot."""
        return self._probs(f"{name}.")

    @cached_property
    def truth(self) -> np.ndarray | None:
        """P(class | features) of a synthetic market, float64 `[N, C]`, else None."""
        if f"{BAYES}.{probability_names(self.classes)[0]}" not in self.frame:
            return None
        truth = self._probs(f"{BAYES}.")
        return truth if np.isfinite(truth).all() else None

    @property
    def splits(self) -> tuple[str, ...]:
        """Splits that have rows, in order of appearance."""
        return tuple(dict.fromkeys(self.frame["split"]))

    def slice_split(self, *splits: str) -> "Predictions":
        """The rows of these splits."""
        rows = self.frame[self.frame["split"].isin(splits).to_numpy()].reset_index(drop=True)
        return replace(self, frame=rows, samples={name: self.samples[name] for name in splits if name in self.samples})

    def _probs(self, prefix: str) -> np.ndarray:
        names = [prefix + name for name in probability_names(self.classes)]
        return self.frame[names].to_numpy(dtype=np.float64)

    @classmethod
    def from_frames(
        cls,
        frames: Iterable[pd.DataFrame],
        classes: tuple[str, ...],
        frequency: str,
        horizon: int,
        model: str,
        samples: Mapping[str, Sample] = MappingProxyType({}),
        calendar: str = EXCHANGE,
    ) -> "Predictions":
        """Join the frames of several splits or folds, sorted by split, date, ticker, fold and path.

        A baseline that some frame lacks is left out.
        """
        order = {name: i for i, name in enumerate(SPLITS)}
        frame = pd.concat(frames, join="inner").sort_values(
            ["split", "date", "ticker", "fold", "path"],
            key=lambda column: column.map(order) if column.name == "split" else column,
            kind="stable",
            ignore_index=True,
        )
        return cls(frame, classes, frequency, horizon, model, samples, calendar)

    def write(self, path: Path) -> None:
        """Write a Parquet file atomically; attributes that are not columns are in its metadata."""
        meta: dict[str, Any] = {
            "classes": self.classes,
            "frequency": self.frequency,
            "horizon": self.horizon,
            "model": self.model,
            "calendar": self.calendar,
        }
        if self.samples:
            meta["samples"] = {split: asdict(sample) for split, sample in self.samples.items()}
        table = pa.Table.from_pandas(self.frame, preserve_index=False)
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), _META: json.dumps(meta).encode()})
        with atomic_file(path) as partial:
            pq.write_table(table, partial)

    @classmethod
    def read(cls, path: Path) -> "Predictions":
        """Read a file written by `write`.

        Raises:
            DataError: a file without predictions.
        """
        try:
            table = pq.read_table(path)
            meta = json.loads((table.schema.metadata or {})[_META])
        except (OSError, KeyError, ValueError, pa.ArrowException):
            raise DataError(f"{path}: holds no predictions. Expected a predictions.parquet of a run.") from None
        return cls(
            table.to_pandas(),
            tuple(meta["classes"]),
            meta["frequency"],
            int(meta["horizon"]),
            str(meta["model"]),
            {split: Sample(**counts) for split, counts in meta.get("samples", {}).items()},
            meta.get("calendar", EXCHANGE),
        )


def is_run_file(path: Path) -> bool:
    """Whether a file is the predictions of a run, by its metadata."""
    with path.open("rb") as file:
        if file.read(4) != b"PAR1":
            return False
    try:
        return _META in (pq.read_schema(path).metadata or {})
    except (OSError, pa.ArrowException):
        return False


def row_columns(keys: pd.DataFrame, split: str, labels: np.ndarray, returns: np.ndarray, fold: int = 0) -> pd.DataFrame:
    """Columns of a predictions frame that identify the rows, with labels and returns.

    Args:
        keys: `date` and `ticker` of N rows.
        split: of all rows.
        labels: `[N]`, index of the class.
        returns: `[N]`, simple, over the horizon.
        fold: number of the fold.
    """
    return pd.DataFrame(
        {
            "date": keys["date"].to_numpy(),
            "ticker": keys["ticker"].to_numpy(),
            "split": split,
            "fold": np.int16(fold),
            "path": np.int16(0),
            "label": np.asarray(labels, dtype=np.int8),
            "return": np.asarray(returns, dtype=np.float64),
        }
    )
