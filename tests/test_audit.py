"""The audit as a command: what it prints, its exit code, and silence on clean data of every source."""

import io
import re
import sys
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from ste.audit import ALARM, main
from ste.config import (
    AuditSettings,
    LabelSettings,
    MarketSettings,
    PathSettings,
    SplitSettings,
    SyntheticSettings,
    TableSettings,
)
from ste.data.build.prepare import prepare
from ste.data.storage.files import write_frame
from ste.errors import ConfigError, DataError
from ste.features.feature_rows import feature_rows
from ste.leakage import suite
from ste.leakage.suite import Audit, audit
from ste.market.sources import Market
from ste.reporting.audit_text import print_audit
from ste.schema import DIRECTION
from ste.synthetic.generator import generate_market

REAL = Path(__file__).parents[2] / "shared" / "market"
SMALL = {"source": "world", "tickers": 4, "start": "2016-01-01", "end": "2019-12-31"}


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of a clean world by split."""
    return prepare(SyntheticSettings(**SMALL), tmp_path_factory.mktemp("tables")).files


def settings_of(files: dict[str, Path], **changes: object) -> TableSettings:
    return TableSettings(source="csv", **{split: str(path) for split, path in files.items()}, **changes)


def rewritten(files: dict[str, Path], folder: Path, **columns: object) -> dict[str, Path]:
    """The tables once more, with columns computed from each split's frame."""
    out = {}
    for split, path in files.items():
        frame = pd.read_csv(path, parse_dates=["date"])
        out[split] = folder / f"{split}.csv"
        write_frame(frame.assign(**columns), out[split])
    return out


def where(report: Audit) -> set[tuple[str, str]]:
    return {(found.check, found.where) for found in report.alarms}


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["ste-audit", *arguments])
    try:
        main()
    except SystemExit as leave:
        return int(leave.code or 0)
    return 0


# --- the command ---


def test_clean_tables_leave_with_0(folder: Path, tables: dict[str, Path], monkeypatch, capsys):
    files = [f"data.{split}={path}" for split, path in tables.items()]
    assert command(monkeypatch, "data=csv", *files, "shuffles=0") == 0
    printed = capsys.readouterr().out
    assert "no alarm in 16 checks" in printed
    assert "ALARM" not in printed


def test_a_leak_leaves_with_3_and_names_what_where_and_what_next(folder: Path, tables, monkeypatch, capsys):
    leaky = rewritten(tables, folder, news_relevance=lambda f: f[DIRECTION] / 2)
    files = [f"data.{split}={path}" for split, path in leaky.items()]
    assert command(monkeypatch, "data=csv", *files, "shuffles=0") == ALARM
    printed = capsys.readouterr().out
    assert re.search(r"single columns +ALARM +news_relevance", printed)
    seen = r"seen itself has a rank correlation of \+0\.\d+ with the return of the coming week"
    assert re.search(seen, " ".join(printed.split()))
    assert re.search(r"next +Check how news_relevance is computed", printed)
    assert max(len(line) for line in printed.splitlines() if not line.startswith("page ")) <= 120


def test_a_file_that_is_not_there_is_a_mistake_and_no_alarm(folder: Path, monkeypatch, capsys):
    assert command(monkeypatch, "data=csv", "data.train=a.csv", "data.validation=b.csv") == 2
    assert "a.csv: no such file" in capsys.readouterr().err


def test_the_seed_document_has_its_own_cut_as_a_note(folder: Path, monkeypatch, capsys):
    assert command(monkeypatch, "data=seed") == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "1 weeks are in both" in printed
    assert "data.split.by=row splits within a period" in printed


def test_settings_that_cannot_be_used():
    with pytest.raises(ConfigError, match=r"strict=maybe: expected true or false\. Try strict=false"):
        AuditSettings(None, PathSettings(), strict="maybe")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="shuffles=-1: expected a whole number, 0 or more"):
        AuditSettings(None, PathSettings(), shuffles=-1)


def test_the_page_holds_the_digest_and_fits_100_columns(tables: dict[str, Path], tmp_path: Path):
    report = audit(settings_of(tables), tmp_path, shuffles=0)
    console = Console(file=io.StringIO(), width=100, highlight=False)
    print_audit(report, console)
    assert isinstance(console.file, io.StringIO)
    printed = console.file.getvalue()
    assert f"digest {report.digest}" in printed
    assert max(len(line) for line in printed.splitlines()) <= 100


# --- ready tables ---


def test_the_digest_is_the_data_cards(tables: dict[str, Path], tmp_path: Path):
    settings = settings_of(tables)
    assert audit(settings, tmp_path, shuffles=0).digest == prepare(settings, tmp_path).digest


def test_a_column_of_the_user_is_audited(tables: dict[str, Path], tmp_path: Path):
    leaky = rewritten(tables, tmp_path, my_signal=lambda f: f[DIRECTION] * 1.0)
    found = where(audit(settings_of(leaky), tmp_path, shuffles=0))
    assert ("single columns", "my_signal") in found


def test_overlapping_files_are_named(tables: dict[str, Path], tmp_path: Path):
    both = {"train": tables["train"], "validation": tables["validation"], "test": tables["validation"]}
    found = where(audit(settings_of(both), tmp_path, shuffles=0))
    assert found == {("overlap", f"data.validation={both['validation']} and data.test={both['test']}")}


def test_a_wrong_horizon_is_found_where_training_would_refuse_it(tmp_path: Path):
    files = prepare(SyntheticSettings(**SMALL, labels=LabelSettings(horizon=4)), tmp_path).files
    report = audit(settings_of(files), tmp_path, shuffles=0)
    assert "data.labels.horizon=4" in next(f.fix for f in report.alarms if f.check == "horizon")
    assert audit(settings_of(files, labels=LabelSettings(horizon=4)), tmp_path, shuffles=0).alarms == ()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"date": "never"}, r"column date, line 2, 3, 4 and .*found never.*expected a day such as 2024-11-29"),
        ({DIRECTION: 9}, r"train.csv: no row has date, ticker, return and class"),
    ],
)
def test_a_table_without_a_usable_row_is_a_mistake(tables, tmp_path: Path, columns: dict[str, object], message: str):
    files = rewritten(tables, tmp_path, **columns)
    with pytest.raises(DataError, match=message):
        audit(settings_of(files), tmp_path, shuffles=0)


def test_a_table_without_tickers_is_a_mistake(tables: dict[str, Path], tmp_path: Path):
    for split, path in tables.items():
        pd.read_csv(path).drop(columns="ticker").to_csv(tmp_path / f"{split}.csv", index=False)
    with pytest.raises(DataError, match=r"train.csv: missing column ticker"):
        audit(settings_of({split: tmp_path / f"{split}.csv" for split in tables}), tmp_path, shuffles=0)


# --- worlds and markets ---


def test_a_feature_function_that_looks_ahead_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def ahead(market: Market, *how: str, **options: bool) -> pd.DataFrame:
        rows = feature_rows(market, *how, **options)
        return rows.assign(stock_macd=rows.groupby("ticker")["stock_macd"].shift(-1).fillna(0.0))

    monkeypatch.setattr(suite, "feature_rows", ahead)
    report = audit(SyntheticSettings(**SMALL), tmp_path, shuffles=0)
    assert where(report) == {("look-ahead", "stock_macd")}


def test_early_figures_in_a_markets_files_are_found(tmp_path: Path):
    market = generate_market(SyntheticSettings(**SMALL))
    assert market.macro is not None
    monthly = market.macro["series"] == "unemployment"
    first = market.macro["release_date"].dt.to_period("M").dt.start_time
    frames = {
        "bars": market.bars,
        "macro": market.macro.assign(release_date=market.macro["release_date"].mask(monthly, first)),
    }
    for kind, frame in frames.items():
        frame.to_csv(tmp_path / f"{kind}.csv", index=False)
    settings = MarketSettings(source="market", bars=str(tmp_path / "bars.csv"), macro=str(tmp_path / "macro.csv"))
    assert where(audit(settings, tmp_path, shuffles=0)) == {
        ("release dates", f"{tmp_path / 'macro.csv'}: series unemployment")
    }


@pytest.mark.parametrize(("seed", "signal"), [(0, 0.0), (1, 0.4), (2, 1.0)])
def test_a_clean_world_raises_no_alarm(tmp_path: Path, seed: int, signal: float):
    report = audit(SyntheticSettings(**SMALL, seed=seed, signal=signal), tmp_path, shuffles=1)
    assert report.alarms == ()
    assert all(result.ran for result in report.results)
    assert len(report.results) == 27


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_clean_worlds_raise_no_alarm_over_20_seeds(tmp_path: Path, seed: int):
    signal = (0.0, 0.4, 1.0)[seed // 3 % 3]  # every signal with every method
    method = ("fixed", "volatility", "terciles")[seed % 3]
    labels = LabelSettings(method=method, threshold=0.5 if method == "volatility" else 0.01)
    world = SyntheticSettings(**{**SMALL, "tickers": 7, "end": "2022-12-31"}, seed=seed, signal=signal, labels=labels)
    assert audit(world, tmp_path).alarms == ()


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason="the real market files are not here")
def test_real_weeks_raise_no_alarm(tmp_path: Path):
    files = {kind: str(next(REAL.glob(f"{kind}.csv*"))) for kind in ("bars", "news", "macro", "policy")}
    split = SplitSettings(validation_start="2015-06-05", test_start="2016-01-01")
    report = audit(MarketSettings(source="market", **files, split=split), tmp_path, strict=True)
    assert report.alarms == ()
