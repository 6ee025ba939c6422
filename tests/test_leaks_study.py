"""Leaks of `studies.planted_leaks` in synthetic data, as docs/audit.md shows them; the study itself plants all."""

from pathlib import Path

import pandas as pd
import pytest

from ste.market.sources import Market
from studies.planted_leaks import bases
from studies.planted_leaks.__main__ import MISSED, audited_market, audited_table, result_of
from studies.planted_leaks.leak import LEAKS, Leak

DOCS = Path(__file__).parents[1] / "docs" / "audit.md"
TABLES = [leak for leak in LEAKS.items if leak.plant]
MARKETS = [leak for leak in LEAKS.items if leak.sources]


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return bases.rows_of(bases.SYNTHETIC)


@pytest.fixture(scope="module")
def market() -> Market:
    return bases.synthetic_market()


def documented(leak: Leak) -> str:
    """The word of docs/audit.md for synthetic data."""
    [line] = [line for line in DOCS.read_text().splitlines() if line.startswith(f"| {leak.name} |")]
    return line.split(" | ")[2]


def test_sixty_six_leaks_are_documented_and_those_that_are_missed_have_a_reason():
    assert len(TABLES) + len(MARKETS) == 66
    assert sum(leak.origin == "own" for leak in LEAKS.items) == 40
    missed = [leak for leak in LEAKS.items if documented(leak) == MISSED]
    assert len(missed) < 6
    assert all(leak.missed for leak in missed)


@pytest.mark.slow
@pytest.mark.parametrize("leak", TABLES[::6], ids=lambda leak: leak.name)
def test_a_leak_in_a_table_is_named_as_documented(rows: pd.DataFrame, leak: Leak):
    assert result_of(leak, audited_table(leak, rows))[0] == documented(leak)


@pytest.mark.slow
@pytest.mark.parametrize("leak", MARKETS[::6], ids=lambda leak: leak.name)
def test_a_leak_in_the_sources_is_named_as_documented(market: Market, leak: Leak):
    assert result_of(leak, audited_market(leak, market, real=False))[0] == documented(leak)
