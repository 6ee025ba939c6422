"""What a table must be, as pandera schemas, and what is wrong with one that is not, in words.

Importing pandera takes longer than training on a small table: `ste.data.storage.tables` imports this module only
when a table is invalid.
"""

import warnings
from functools import cache
from pathlib import Path

import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from ste.data.column_rules import numeric_columns, rules
from ste.errors import DataError
from ste.schema import DIRECTION, Column, Trend

_SHOWN = 3  # offending rows, and faults, that a message lists


@cache
def table_schema(features: str = "full") -> pa.DataFrameSchema:
    """The contract of a table with this feature set as a pandera schema."""
    dates = pa.Check(lambda s: s.diff().dt.days.fillna(0) >= 0, error="dates that never go back", name="sorted")
    classes = pa.Check.isin([int(trend) for trend in Trend], error="0 (Downtrend), 1 (Neutral) or 2 (Uptrend)")
    return pa.DataFrameSchema(
        {
            "date": day_column(dates),
            "ticker": pa.Column(str, pa.Check(lambda s: s.str.len() > 0, error="a name")),
            **{column.name: _numeric(column) for column in numeric_columns(features)},
            DIRECTION: pa.Column(float, classes, coerce=True),  # int64 would cut 1.5 down to 1 in silence
        },
        unique=["date", "ticker"],
        strict=True,
    )


def _numeric(column: Column) -> pa.Column:
    """A finite float column within the bounds of the schema module."""
    checks = [pa.Check(rule.holds, error=rule.expected, name=rule.expected) for rule in rules(column)]
    return pa.Column(float, checks, coerce=True)


def day_column(*checks: pa.Check) -> pa.Column:
    """Dates without a time of day; without this a number such as 20241129 would be nanoseconds of 1970."""
    days = pa.Check(lambda s: s == s.dt.normalize(), error="a day such as 2024-11-29, without a time")
    return pa.Column("datetime64[ns]", [days, *checks], coerce=True)


def check_frame(frame: pd.DataFrame, schema: pa.DataFrameSchema, path: Path | str) -> pd.DataFrame:
    """The frame with the schema's types, or one message with every column at fault and its first rows.

    Raises:
        DataError: in the words of the schema's checks (`Check(error=...)`).
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Parsing dates in")  # a date in another form is told below
            return schema.validate(frame, lazy=True)
    except SchemaErrors as errors:
        faults = _faults(errors.failure_cases, schema, frame)
        shown = [f"  {fault}" for fault in faults[:_SHOWN]]
        if len(faults) > _SHOWN:
            shown.append(f"  and {len(faults) - _SHOWN} more columns or checks")
        noun = "fault" if len(faults) == 1 else "faults"
        raise DataError(
            f"{path}: {len(faults)} {noun} in the table.\n" + "\n".join(shown) + "\nMend the file and run again."
        ) from None


def _faults(cases: pd.DataFrame, schema: pa.DataFrameSchema, frame: pd.DataFrame) -> list[str]:
    lines, told = [], set()
    for (column, check), found in cases.groupby(["column", "check"], sort=False, dropna=False):
        name = str(column)
        if "coerce_dtype" in str(check) or str(check).startswith("dtype("):
            if name in told:
                continue
            told.add(name)
            expected = f"a {_word(schema, name)} in every row"
        elif name in told:
            continue  # what else is wrong with a column of the wrong type follows from that
        elif check == "not_nullable":
            expected = "a value in every row"
        elif check == "multiple_fields_uniqueness":
            name, expected = "date and ticker", "each pair once"
            if name in told:
                continue  # pandera names the two columns one by one
            told.add(name)
        else:
            expected = str(check)
        rows = found["index"].dropna().astype(int).drop_duplicates()
        if rows.empty and "date such as" in expected:  # dates of two forms fail together and not one by one
            rows = pd.Series(frame.index[~frame[name].astype(str).str.fullmatch(r"\d{4}-\d{2}-\d{2}")])
        at = ", ".join(str(row + 2) for row in rows[:_SHOWN])  # line 1 is the header
        if not at:
            lines.append(f"column {name}: expected {expected}.")
            continue
        shown = frame.loc[rows[:_SHOWN], [name] if name in frame else ["date", "ticker"]]
        values = [" ".join(str(value) for value in row) for row in shown.itertuples(index=False)]
        more = f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
        lines.append(f"column {name}, line {at}{more}: found {', '.join(values)}; expected {expected}.")
    return lines


def _word(schema: pa.DataFrameSchema, column: str) -> str:
    kind = str(schema.columns[column].dtype) if column in schema.columns else "value"
    if kind.startswith("datetime"):
        return "date such as 2024-11-29"
    return {"float64": "number"}.get(kind, "name")
