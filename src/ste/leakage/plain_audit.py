"""The checks of a table with columns of any name."""

from collections.abc import Iterator
from dataclasses import replace

from ste.config.progress import step
from ste.data.storage.files import sha256
from ste.leakage.audit_table import CLOSE
from ste.leakage.bar_timing import early_tickers, early_volumes
from ste.leakage.bar_values import bar_values
from ste.leakage.check_result import CheckResult
from ste.leakage.odd_bars import odd_bars
from ste.leakage.panel_checks import fitted_checks, table_checks
from ste.leakage.plain_table import PlainTable, read_plain
from ste.leakage.suite import Audit
from ste.schema import DIRECTION, RETURN, ROW_CLOSE


def audit_plain(
    path: str,
    label: str | None = None,
    returns: str | None = None,
    horizon: int = 1,
    *,
    strict: bool = False,
    shuffles: int = 2,
) -> Audit:
    """Run every check that applies to a file.

    Args:
        path: CSV or Parquet, see `plain_table.read_plain`.
        label: column to predict; None looks for a usual name.
        returns: column of the coming return; None looks for a usual name or computes it from the close.
        horizon: rows that label and return look ahead.
        strict: see `single_columns.single_columns`.
        shuffles: permutations of the labels that models are fitted to; 0 fits none.

    Raises:
        DataError: a file that cannot be read, or without a date.
    """
    with step("reading the table"):
        plain = read_plain(path, label, returns, horizon)
    table = plain.table
    with step("checking columns, splits and labels"):
        results = [*table_checks(table, strict=strict), *_bar_checks(plain, path)]
    if shuffles:
        with step("fitting models to the labels, and to shuffled ones"):
            results += fitted_checks(table, results, shuffles)
    names = {DIRECTION: plain.label, RETURN: plain.returns, ROW_CLOSE: "the close"}
    if CLOSE not in table.frame:
        names[CLOSE] = "close"
    tickers = len(table.ticker_names)
    source = f"{path}: {len(table.frame):,} rows, {tickers} ticker{'s' * (tickers > 1)}, {len(table.features)} columns"
    return Audit(source, sha256(path), tuple(_renamed(one, names) for one in results), plain.summary)


def _bar_checks(plain: PlainTable, path: str) -> Iterator[CheckResult]:
    if plain.bars is None:
        return
    checks = [odd_bars, bar_values, early_tickers, *([early_volumes] if "volume" in plain.bars else [])]
    for check in checks:
        yield check(plain.bars, path)


def _renamed(result: CheckResult, names: dict[str, str]) -> CheckResult:
    """The result with the file's own names of label and return."""

    def text(words: str) -> str:
        for name, own in names.items():
            words = words.replace(name, own)
        return words.replace("data.labels.horizon", "horizon")

    alarms = tuple(replace(one, where=text(one.where), seen=text(one.seen), fix=text(one.fix)) for one in result.alarms)
    return replace(result, seen=text(result.seen), alarms=alarms, notes=tuple(map(text, result.notes)))
