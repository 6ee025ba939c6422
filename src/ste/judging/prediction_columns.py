"""Which column of a file of predictions is which, by its usual name in the tools that write such files."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ste.data.bar_files.column_names import plain_name, shown_names
from ste.errors import DataError
from ste.judging.class_words import as_word, is_class_word, trend_of

_USUAL: dict[str, tuple[str, ...]] = {
    key: tuple(names.split())
    for key, names in {
        "date": "date datetime timestamp ds time tradedate tradingdate day dt asof t index unnamed0",
        "ticker": "ticker tickers symbol instrument asset pair uniqueid itemid seriesid tic sym code stock security id",
        "score": "score predictedreturn predreturn returnpred returnprediction expectedreturn forecast yhat ypred "
        "alpha prediction predictions pred preds signal mean pointforecast",
        "class": "class predictedclass predclass predictedlabel predlabel prediction predictions pred preds ypred "
        "signal yhat",
        "label": "label truelabel trueclass actualclass actuallabel target truth ytrue y actual ytest "
        "stocktrenddirection",
        "return": "return returns futurereturn fwdreturn forwardreturn nextreturn actualreturn realizedreturn "
        "truereturn ret label0 label target truth ytrue y actual ytest stockweeklyreturn",
        "close": "close closeprice adjclose price",
        "cutoff": "cutoff",
    }.items()
}
"""Plain names of each column, the most usual first; a name under two keys is decided by what its column holds."""

_PROBABILITY = re.compile(r"^(?:p|pr|prob|proba|probability|predictproba|p hat)[ _.(-]*(.+?)\)?$", re.I)
_NUMBER = re.compile(r"-?\d+(\.0)?")
_FREQAI_PREDICTION = re.compile(r"^&[-s]?(?!.*_(?:mean|std)$).+")
_FREQAI = ("do_predict", "DI_values")
_STATED_CLASSES = ("strong_downtrend", "downtrend", "neutral", "uptrend", "strong_uptrend")


@dataclass(frozen=True)
class PredictionColumns:
    """Columns of a file of predictions.

    Attributes:
        at: position by what it holds: `date`, `ticker`, `label`, `return`, `close`, `cutoff`, `do_predict`, `split`.
        classes: position of the probability of each class, by its name in the file.
        predicted: position of the one column that holds a class or a score; None with probabilities.
        must_score, must_be_class: the user stated which of both it is.
        wide: position of the forecasts of each ticker, side by side.
        shape: of the file in words.
        target_dates: whether such files have the dates of the targets.
        baselines: position of each column of a baseline's probabilities, such as `majority.p_uptrend`.
        ignored: names of columns that are not read.
    """

    at: Mapping[str, int]
    classes: Mapping[str, int] = field(default_factory=dict)
    predicted: int | None = None
    must_score: bool = False
    must_be_class: bool = False
    wide: Mapping[str, int] = field(default_factory=dict)
    shape: str = ""
    target_dates: bool = False
    baselines: Mapping[str, int] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()


def find_prediction_columns(
    header: Sequence[str], stated: Mapping[str, str | int], where: str, *, has_returns: bool
) -> PredictionColumns:
    """Find the columns by their names.

    Args:
        header: names in the file's order.
        stated: names or positions that the user gives, by what the column holds.
        where: the file, for messages.
        has_returns: whether the outcomes come from another file.

    Raises:
        DataError: a column that is needed is not found, or several fit.
    """
    places = {key: _stated(header, name, f"{where}: columns={{{key}: {name}}}") for key, name in stated.items()}
    free = [number for number in range(len(header)) if number not in places.values()]
    at = {key: number for key, number in places.items() if key in _USUAL and key not in ("score", "class")}
    for key in ("date", "ticker", "cutoff"):
        _take(at, key, header, free)
    if "date" not in at and free and header[free[0]] == "":
        at["date"] = free.pop(0)
    if "date" not in at:
        raise DataError(
            f"{where}: no column of dates. Found {shown_names(header)}. Expected date, datetime, timestamp, ds or "
            "time, or an index of dates that was written with the file. Say which one it is: columns={date: NAME}."
        )
    classes = {key: places[key] for key in _STATED_CLASSES if key in places} or _probabilities(header, free)
    free = [number for number in free if number not in classes.values()]
    freqai = any(name in _FREQAI or _FREQAI_PREDICTION.match(name) for name in header)
    nixtla = {"uniqueid", "ds"} <= {plain_name(name) for name in header}
    if "do_predict" in header:
        at["do_predict"] = header.index("do_predict")
    if "split" in header:
        at["split"] = header.index("split")
    own = [header[number] for number in classes.values()]
    baselines = {
        name: n for n, name in enumerate(header) if name.count(".") == 1 and name.partition(".")[2] in own and n in free
    }
    free = [number for number in free if number not in (*baselines.values(), at.get("split"))]
    predicted: int | None = None
    wide: dict[str, int] = {}
    if not classes:
        predicted = places.get("score", places.get("class"))
        if predicted is None:
            predicted = _prediction(header, free, where, freqai=freqai)
    _take_truth(at, header, [number for number in free if number != predicted])
    rest = [number for number in free if number not in (*at.values(), predicted)]
    if not classes and predicted is None:
        predicted, wide = _others(header, rest, at, where, has_returns=has_returns)
    shape = "FreqAI" if freqai else "Nixtla" if nixtla else "forecasts of tickers side by side" if wide else ""
    qlib = [plain_name(header[at[key]]) for key in ("date", "ticker") if key in at] == ["datetime", "instrument"]
    used = {*at.values(), *classes.values(), *wide.values(), *baselines.values(), predicted}
    return PredictionColumns(
        at,
        classes,
        predicted,
        "score" in places,
        "class" in places,
        wide,
        shape or ("Qlib" if qlib else "a row for each date" + (" and ticker" if "ticker" in at else "")),
        nixtla or bool(wide),
        baselines,
        tuple(name or f"column {number + 1}" for number, name in enumerate(header) if number not in used),
    )


def _stated(header: Sequence[str], name: str | int, where: str) -> int:
    if isinstance(name, int) and 1 <= name <= len(header):
        return name - 1
    found = [number for number, one in enumerate(header) if one == str(name)]
    found = found or [number for number, one in enumerate(header) if plain_name(one) == plain_name(str(name))]
    if len(found) != 1:
        raise DataError(f"{where}: found {len(found)} such columns. The file has {shown_names(header)}.")
    return found[0]


def _take(at: dict[str, int], key: str, header: Sequence[str], free: list[int]) -> None:
    """Take the first column of a usual name of this key."""
    if key in at:
        return
    for name in _USUAL[key]:
        found = [number for number in free if plain_name(header[number]) == name]
        if found:
            at[key] = found[0]
            free.remove(found[0])
            return


def _probabilities(header: Sequence[str], free: Sequence[int]) -> dict[str, int]:
    """Return the columns of probabilities by class: `p_up`, `proba_0`, or the classes alone."""
    prefixed = {found[1]: number for number in free if (found := _PROBABILITY.match(header[number]))}
    known = {
        name: n for name, n in prefixed.items() if trend_of(name) is not None or re.fullmatch(r"-?\d+(\.0)?", name)
    }
    strong = {name: n for name, n in prefixed.items() if plain_name(name) in ("strongdowntrend", "stronguptrend")}
    if known:
        return known | strong
    if len(prefixed) > 1:
        return prefixed
    alone = {header[number]: number for number in free if is_class_word(header[number])}
    numbers = {header[number]: number for number in free if _NUMBER.fullmatch(header[number].strip())}
    if len(alone) > 1:
        return alone
    words = {as_word(name) for name in numbers}
    return numbers if len(numbers) in (2, 3) and words <= {"-1", "0", "1", "2", "3"} else {}


def _prediction(header: Sequence[str], free: Sequence[int], where: str, *, freqai: bool) -> int | None:
    """Return the column of a class or score by its usual name; None where there is none."""
    if freqai:
        found = [number for number in free if _FREQAI_PREDICTION.match(header[number])]
        if len(found) > 1:
            raise DataError(
                f"{where}: has {len(found)} targets of FreqAI: {shown_names([header[n] for n in found])}. Say which "
                f"one to judge: columns={{score: '{header[found[0]]}'}}."
            )
        if found:
            return found[0]
    for name in (*_USUAL["score"], *_USUAL["class"]):
        same = [number for number in free if plain_name(header[number]) == name]
        if len(same) > 1:
            raise DataError(
                f"{where}: the columns {same[0] + 1} and {same[1] + 1} are both called {name}. Say which one to judge: "
                f"columns={{score: {same[0] + 1}}}."
            )
        if same:
            return same[0]
    return None


def _take_truth(at: dict[str, int], header: Sequence[str], free: list[int]) -> None:
    """Take the columns of outcomes; one that may be a label or a return is decided by what it holds."""
    for key in ("label", "return", "close"):
        _take(at, key, header, free)


def _others(
    header: Sequence[str], rest: Sequence[int], at: dict[str, int], where: str, *, has_returns: bool
) -> tuple[int | None, dict[str, int]]:
    """Return the one column that is left as the score, or those of tickers side by side."""
    rest = [number for number in rest if not re.search(r"-(?:lo|hi)-\d", header[number])]  # intervals of Nixtla
    if not rest and "close" in at:  # forecasts of a series that is called so
        rest = [at.pop("close")]
    if len(rest) == 1:
        return rest[0], {}
    if len(rest) > 1 and "ticker" not in at and has_returns:
        return None, {header[number]: number for number in rest}
    names = shown_names([header[number] for number in rest]) if rest else "no other column"
    example = header[rest[0]] if rest else "NAME"
    raise DataError(
        f"{where}: no column of predictions by a usual name. Found {names} next to the date. Expected probabilities "
        "(p_downtrend, p_neutral, p_uptrend), a class (prediction) or a score. Say which one it is: "
        f"columns={{score: '{example}'}}."
    )


def outcome_columns(header: Sequence[str], where: str) -> dict[str, int]:
    """Return where date, ticker, return and label of a table of outcomes are.

    Raises:
        DataError: no column of dates.
    """
    at: dict[str, int] = {}
    free = list(range(len(header)))
    for key in ("date", "ticker", "return", "label"):
        _take(at, key, header, free)
    if "date" not in at and free and header[free[0]] == "":
        at["date"] = free.pop(0)
    if "date" not in at:
        raise DataError(f"{where}: no column of dates. Found {shown_names(header)}. Expected date, ticker and return.")
    return at
