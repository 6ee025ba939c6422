"""The interface of a label method: the rows that it reads, and the labels that it returns.

N rows of complete tickers, sorted by ticker and period; M rows of a complete table; B bars. Nothing here imports
pandas, so that settings are checked at once.
"""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ste.config import LabelSettings
from ste.errors import ConfigError, DataError, described
from ste.registry import LABELS
from ste.schema import CLASSES, trend_count

NO_TREND = -1
"""Trend of a row without a class: history only, neither trained on nor scored."""

Rules = Iterator[tuple[bool, str, str, object]]
"""Rules of the settings: whether it holds, the setting, what is expected, an example to type."""


@dataclass(frozen=True, eq=False)
class LabelBars:
    """Bars of the tickers on the adjusted scale, sorted by ticker and date.

    Attributes:
        history: number of each bar's history, int64 `[B]`; a label must not cross histories (`market.histories`).
        date: datetime64[D] `[B]`.
        period: index of each bar's period, int64 `[B]`.
        open, high, low, close, volume: float64 `[B]`; prices in dollars.
    """

    history: np.ndarray
    date: np.ndarray
    period: np.ndarray
    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray


@dataclass(frozen=True, eq=False)
class LabelRows:
    """What a label method may read of the rows of some tickers.

    Attributes:
        ticker: names, object `[N]`.
        date: last session of each row's period, datetime64[D] `[N]`.
        period: index of the period, int64 `[N]`.
        close: dollars, `[N]`.
        volatility: trailing standard deviation of the log return over a period, `[N]`.
        ahead: close `horizon` periods later, or the value of a ticker that ended by then, `[N]`; NaN where there is
            none.
        bar: position of each row's last bar in `bars`, int64 `[N]`.
        bars: of the same tickers.
        horizon: periods ahead that a label may look.
        classes: number of classes, K.
    """

    ticker: np.ndarray
    date: np.ndarray
    period: np.ndarray
    close: np.ndarray
    volatility: np.ndarray
    ahead: np.ndarray
    bar: np.ndarray
    bars: LabelBars
    horizon: int
    classes: int

    def __len__(self) -> int:
        return len(self.ticker)


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels of rows, as a label function returns them.

    Attributes:
        classes: int64 `[N]`, 0 to K - 1 from the strongest fall to the strongest rise; `NO_TREND` for a row that is
            neither trained on nor scored.
        returns: what the label is about, float64 `[N]`, simple return from the row's close on; NaN is no label.
        ends: periods after the row in which the label is known, int64 `[N]`, 1 to `horizon`; 0 is no label.
    """

    classes: np.ndarray
    returns: np.ndarray
    ends: np.ndarray


LabelFunction = Callable[..., Labels]
"""A label of the user: from `LabelRows` and the parameters of its own to `Labels`."""


@dataclass(frozen=True, eq=False)
class AllRows:
    """Rows of a complete table with their returns, for quantities that depend on all of them.

    Attributes:
        ticker: names, object `[M]`.
        period: index of the period, int64 `[M]`.
        returns: float64 `[M]`.
        scored: whether the row is not history only, bool `[M]`.
        training: whether the row is trained on, bool `[M]`.
    """

    ticker: np.ndarray
    period: np.ndarray
    returns: np.ndarray
    scored: np.ndarray
    training: np.ndarray


@dataclass(frozen=True)
class LabelMethod:
    """Base of the label methods: the simple return over the horizon; a subclass decides the trend.

    The fields are the parameters: `horizon` and `classes` of every method, and its own.

    Attributes:
        needs_all_rows: whether `fit` has to see the returns of all rows first.
        needs_training: whether `fit` reads which rows are trained on; folds fit again.
        varying_end: whether a label may end before the horizon; the table then has `schema.LABEL_END`.
        ordered: whether every Downtrend's return lies below every Uptrend's.
        plain_return: whether the return is that from close to close over the horizon.
        class_counts: numbers of classes that it has.
        meaning: of the classes in words; `{ahead}` is such as "the next week's".
        without: why a row has no class, in words.
    """

    needs_all_rows: ClassVar[bool] = False
    needs_training: ClassVar[bool] = False
    varying_end: ClassVar[bool] = False
    ordered: ClassVar[bool] = True
    plain_return: ClassVar[bool] = True
    class_counts: ClassVar[tuple[int, ...]] = (2, 3, 4, 5)
    meaning: ClassVar[str] = ""
    without: ClassVar[str] = "without a class"

    horizon: int = 1
    classes: int = 3

    @classmethod
    def rules(cls, settings: LabelSettings) -> Rules:
        """Yield the rules of its settings."""
        choices = ", ".join(map(str, cls.class_counts))
        yield settings.classes in cls.class_counts, "classes", f"one of {choices} with this method", 3

    @property
    def trend_count(self) -> int:
        """Number of trends that a table distinguishes: 3, or 5 with four or five classes."""
        return trend_count(self.classes)

    def labels(self, rows: LabelRows) -> Labels | None:
        """Return labels that the rows and bars of a ticker decide; None: `trends` decides by the return.

        Classes are trends of a table here.
        """
        return None

    def fit(self, rows: AllRows) -> Any:
        """Return what `trends` needs to know of all rows."""
        return None

    def trends(
        self, returns: np.ndarray, period: np.ndarray, volatility: np.ndarray, fitted: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the returns that the labels are about, and the trends; `NO_TREND` where there is none.

        Args:
            returns: simple, over the horizon, `[N]`.
            period: index of the period `[N]`.
            volatility: trailing, over a period `[N]`.
            fitted: of `fit`.
        """
        raise NotImplementedError

    def left_out(self, ticker: np.ndarray) -> np.ndarray:
        """Return which rows, by the names of their tickers `[N]`, get no class whatever their return, bool `[N]`."""
        return np.zeros(len(ticker), dtype=bool)

    def edges(self, volatility: np.ndarray, fitted: Any) -> tuple[Any, ...] | None:
        """Return the returns between the trends, ascending, one for all rows or `[N]`; None if there are none."""
        return None

    def fixed_edges(self) -> tuple[float, ...] | None:
        """Return `edges` where the settings alone decide them."""
        return None


@dataclass(frozen=True)
class FunctionLabel(LabelMethod):
    """A label function as a method.

    Args:
        function: see `LabelFunction`.
        arguments: of the function.
    """

    varying_end: ClassVar[bool] = True
    ordered: ClassVar[bool] = False
    plain_return: ClassVar[bool] = False

    function: LabelFunction | None = None
    arguments: tuple[tuple[str, Any], ...] = ()

    def labels(self, rows: LabelRows) -> Labels:
        """Call the function; its classes become trends."""
        assert self.function is not None
        name = f"data.labels.method={getattr(self.function, '__name__', self.function)}"
        try:
            found = self.function(rows, **dict(self.arguments))
        except Exception as error:
            raise DataError(f"{name}: {described(error)}.") from error
        if not isinstance(found, Labels):
            raise DataError(f"{name}: returned {type(found).__name__}. Expected Labels(classes, returns, ends).")
        classes, returns, ends = (np.asarray(each) for each in (found.classes, found.returns, found.ends))
        check_shapes(self.function.__name__, len(rows), classes, returns, ends, self.classes)
        trend_of_class = np.array([*CLASSES[self.classes], NO_TREND])
        return Labels(trend_of_class[classes], returns.astype(np.float64), ends.astype(np.int64))


def check_shapes(name: str, rows: int, classes: np.ndarray, returns: np.ndarray, ends: np.ndarray, count: int) -> None:
    """Raise `DataError` unless a label function returned a whole class, a return and an end for each row."""
    shapes = {"classes": classes.shape, "returns": returns.shape, "ends": ends.shape}
    for part, shape in shapes.items():
        if shape != (rows,):
            raise DataError(
                f"data.labels.method={name}: returned {part} of shape {shape} for {rows:,} rows. Expected one value "
                "for each row."
            )
    whole = classes.dtype.kind in "iu" and ends.dtype.kind in "iu"
    low, high = (int(classes.min()), int(classes.max())) if rows and whole else (0, 0)
    if not whole or low < NO_TREND or high >= count:
        raise DataError(
            f"data.labels.method={name}: returned classes {low} to {high} ({classes.dtype}) and ends of "
            f"{ends.dtype}. Expected integers, classes from 0 to {count - 1} with data.labels.classes={count}, or "
            f"{NO_TREND} for a row without a class."
        )


def declare_label(component: Any, name: str) -> Any:
    """Check what a plugin registers as a label, as `ste.registry` asks for it.

    Raises:
        ConfigError: no function of rows, and no subclass of `LabelMethod`.
    """
    if isinstance(component, type):
        if not issubclass(component, LabelMethod):
            raise ConfigError(
                f"label {name}: is no LabelMethod. Expected a subclass of it, or a function of LabelRows."
            )
        return component
    if not list(inspect.signature(component).parameters):
        raise ConfigError(f"label {name}: takes no argument. Expected def {name}(rows: LabelRows) -> Labels.")
    return component


def label_method(settings: LabelSettings) -> LabelMethod:
    """Build the label method of the settings.

    Raises:
        ConfigError: there is none of that name.
    """
    component, arguments = LABELS[settings.method], settings.method_arguments()
    if isinstance(component, type):
        method: LabelMethod = component(**arguments)
        return method
    return FunctionLabel(settings.horizon, settings.classes, component, tuple(arguments.items()))
