"""All checks of the rows of a table."""

from collections.abc import Iterator

from ste.leakage.audit_table import AuditTable
from ste.leakage.check_result import CheckResult
from ste.leakage.encoded_labels import encoded_labels
from ste.leakage.filled_gaps import filled_gaps
from ste.leakage.fitted_values import fitted_values
from ste.leakage.group_means import group_means
from ste.leakage.joint_columns import joint_columns
from ste.leakage.label_horizon import label_horizon
from ste.leakage.label_thresholds import future_thresholds
from ste.leakage.near_copies import near_copies
from ste.leakage.null_models import shuffled_labels
from ste.leakage.odd_columns import odd_columns
from ste.leakage.overlaps import copied_rows, overlapping_splits
from ste.leakage.preprocessing import future_scalers
from ste.leakage.selected_rows import selected_rows
from ste.leakage.single_columns import measure, single_columns
from ste.leakage.single_spans import single_spans
from ste.leakage.single_tickers import single_tickers


def table_checks(table: AuditTable, *, strict: bool = False, stated: bool = False) -> list[CheckResult]:
    """The checks of the rows alone."""
    measured = tuple(measure(table))
    results = [single_columns(table, measured, strict=strict)]
    results += [single_tickers(table, _named(results)), single_spans(table, measured, _named(results))]
    results += [
        encoded_labels(table),
        odd_columns(table),
        future_scalers(table),
        fitted_values(table),
        filled_gaps(table),
        group_means(table),
        future_thresholds(table),
        overlapping_splits(table, stated=stated),
        copied_rows(table),
        near_copies(table),
        selected_rows(table),
        label_horizon(table),
    ]
    return results


def fitted_checks(table: AuditTable, results: list[CheckResult], shuffles: int) -> Iterator[CheckResult]:
    """The checks of the rows that fit models.

    Args:
        table: any table.
        results: of the other checks; the columns that they name are left out.
        shuffles: permutations of the labels; 0 fits the labels as they are alone.
    """
    yield joint_columns(table, _named(results))
    if shuffles:
        yield shuffled_labels(table, shuffles)


def _named(results: list[CheckResult]) -> set[str]:
    """The columns of alarms, which later checks need not name again."""
    return {found.where.split(" ")[0] for result in results for found in result.alarms}
