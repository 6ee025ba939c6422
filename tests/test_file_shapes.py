"""Bars are read from every shape of file that the documentation lists, to known numbers, or refused in words."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from file_shapes import FIELDS, SHAPES, TICKERS, FileShape, known_bars
from ste.config import MarketSettings
from ste.data.bar_files.bar_files import open_bar_files
from ste.errors import DataError
from ste.market.read_summary import ReadSummary

DOCS = Path(__file__).parents[1] / "docs" / "files.md"


def read(what: Path, **options: object) -> tuple[pd.DataFrame, ReadSummary]:
    summary = ReadSummary()
    settings = MarketSettings(source="market", bars=str(what), **options)  # type: ignore[arg-type]
    blocks = list(open_bar_files(settings.bars, settings.read_options(), summary).blocks(1 << 30))
    return pd.concat([block.astype({"ticker": "str"}) for block in blocks], ignore_index=True), summary


@pytest.mark.parametrize("shape", [one for one in SHAPES if not one.refused], ids=lambda one: one.name)
def test_a_shape_is_read_to_its_numbers(tmp_path: Path, shape: FileShape):
    bars = known_bars()
    found, summary = read(shape.write(bars, tmp_path), **shape.options)
    expected = bars[bars["ticker"].isin(TICKERS[: len(shape.tickers)])].reset_index(drop=True)
    assert list(dict.fromkeys(found["ticker"])) == sorted(shape.tickers)
    names = dict(zip(TICKERS, shape.tickers, strict=False))
    expected = expected.assign(ticker=expected["ticker"].map(names)).sort_values(["ticker", "date"], ignore_index=True)
    assert found["date"].tolist() == expected["date"].tolist()
    factor = 100.0 if shape.name == "decimal commas with thousands" else 1.0
    for name in FIELDS[:4]:
        np.testing.assert_allclose(found[name], expected[name] * factor, rtol=1e-7 if shape.volume == 0 else 1e-12)
    tolerance = shape.volume / 2 if shape.volume > 1 else 1.0 if shape.volume == 0 else 1e-6
    np.testing.assert_allclose(found["volume"], expected["volume"], atol=tolerance, rtol=0)
    assert ("adj_close" in found) == shape.adjusted
    if shape.adjusted:
        np.testing.assert_allclose(
            found["adj_close"], expected["close"] / 2, atol=5.1e-4 if "page" in shape.name else 1e-9
        )
    assert summary.shape
    assert summary.found - sum(one.rows for one in summary.set_aside.values()) >= len(expected)


@pytest.mark.parametrize("shape", [one for one in SHAPES if one.refused], ids=lambda one: one.name)
def test_a_shape_is_refused_in_words(tmp_path: Path, shape: FileShape):
    with pytest.raises(DataError, match=shape.refused):
        read(shape.write(known_bars(), tmp_path), **shape.options)


def test_the_documentation_lists_the_shapes():
    rows = re.findall(r"^\| ([^|]+?) \| [^|]+ \| (read|refused)[^|]*\|$", DOCS.read_text(), re.MULTILINE)
    assert [name for name, _ in rows] == [shape.name for shape in SHAPES]
    assert [result for _, result in rows] == ["refused" if shape.refused else "read" for shape in SHAPES]
    assert len(rows) >= 40


@pytest.mark.parametrize(
    ("calendar", "zone", "days"),
    [
        ("XNYS", "America/New_York", ["2024-03-08", "2024-03-11"]),  # the clock changes between them
        ("XTKS", "Asia/Tokyo", ["2024-03-08", "2024-03-11"]),
        ("XLON", "Europe/London", ["2024-03-28", "2024-04-02"]),
        ("24/7", "UTC", ["2024-03-09", "2024-03-10"]),
    ],
)
@pytest.mark.parametrize("written", ["UTC", "own"])
def test_midnights_of_an_exchange_are_its_days_in_any_zone(
    tmp_path: Path, calendar: str, zone: str, days: list[str], written: str
):
    stamps = pd.DatetimeIndex(days).tz_localize(zone)
    text = (stamps.tz_convert("UTC") if written == "UTC" else stamps).strftime("%Y-%m-%dT%H:%M:%S%z")
    frame = pd.DataFrame({"ticker": "A", "date": text, "open": 1, "high": 2, "low": 1, "close": 2, "volume": 3})
    frame.to_csv(tmp_path / "bars.csv", index=False)
    found, _ = read(tmp_path / "bars.csv", calendar=calendar)
    assert found["date"].dt.strftime("%Y-%m-%d").tolist() == days
