"""Judge predictions of any tool from a program: `ste.judge`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ste.library.judged_predictions import JudgedPredictions


def judge(
    predictions: Any,
    *,
    returns: Any = None,
    columns: Mapping[str, str | int] | None = None,
    classes: Sequence[str] | None = None,
    horizon: int | None = None,
    threshold: float | None = None,
    trials: int | Sequence[Any] = 1,
    name: str | None = None,
    **settings: Any,
) -> "JudgedPredictions":
    """Score predictions of any tool next to their baselines, and judge them.

    Args:
        predictions: a CSV, Parquet or Feather file, or a DataFrame (an index of dates or tickers counts as a column):
            date, ticker, and probabilities of the classes, classes, or a score; and their outcomes.
        returns: the outcomes in another place: daily bars, or a table with a column `return` or `label`, as a path or
            DataFrame.
        columns: names of columns that are not found, such as `{"score": "alpha", "return": "ret_5d"}`.
        classes: names or values of the classes, from fall to rise.
        horizon: periods that a prediction looks ahead; None finds it in returns that overlap, else 1.
        threshold: a return above it is an Uptrend, one below minus it a Downtrend.
        trials: number of models that were tried on this data, this one included; or the predictions of the others.
        name: of the model, to print; None is the file's.
        settings: any other setting of `python -m ste.judge`, such as `frequency="weekly"`, `calendar="XLON"` or
            `scoring={"cost_bps": 10}` (docs/judge.md).

    Returns:
        Verdict, scores, and the page.

    Raises:
        SteError: predictions or settings that cannot be used; the message names them and what is expected.
    """
    from ste.config.judge_settings import JudgeSettings
    from ste.config.load import load_settings
    from ste.config.program_values import compose_values
    from ste.config.progress import one_line
    from ste.judging.judgement import judge_file
    from ste.library.data_files import DataFiles, is_table
    from ste.library.judged_predictions import JudgedPredictions

    files = DataFiles()
    with files.named():
        path = files.path(predictions, "predictions")
        given: dict[str, Any] = {"predictions": path, "horizon": horizon, "threshold": threshold}
        given["returns"] = None if returns is None else files.path(returns, "returns")
        given["classes"] = None if classes is None else [str(one) for one in classes]
        given["columns"] = dict(columns or {})
        given["trials"] = trials if isinstance(trials, int) else [files.path(one, "trial") for one in trials]
        stated = {key: value for key, value in given.items() if value is not None}
        loaded = load_settings(JudgeSettings, compose_values("judge", {}, stated | settings))
        with one_line():
            found = judge_file(path, loaded, name=name or ("predictions" if is_table(predictions) else None))
    return JudgedPredictions(found, loaded, files.name_tables(found.rows.where))
