"""`python -m ste.audit table.csv`: columns of any name, what is understood of them, and the page."""

import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ste.audit import ALARM, as_settings, main
from ste.errors import DataError
from ste.leakage.plain_audit import audit_plain
from ste.leakage.plain_labels import class_codes
from ste.leakage.plain_table import read_plain
from ste.schema import DIRECTION, RETURN


def prices(seed: int = 0, days: int = 400, tickers: int = 5, step: str = "B") -> pd.DataFrame:
    """Random walks of several tickers that share a market."""
    rng = np.random.default_rng(seed)
    dates = pd.date_range("2018-01-01", periods=days, freq=step)
    shared = rng.normal(0, 0.008, days)
    frames = []
    for ticker in range(tickers):
        close = 50 * np.exp(np.cumsum(shared + rng.normal(0, 0.01, days)))
        columns = {"Date": dates, "Symbol": f"S{ticker}", "Price": close, "noise": rng.normal(size=days)}
        frames.append(pd.DataFrame({**columns, "momentum": pd.Series(close).pct_change(10)}))
    return pd.concat(frames, ignore_index=True)


def coming(frame: pd.DataFrame, steps: int = 1) -> pd.Series:
    return frame.groupby("Symbol")["Price"].transform(lambda s: s.shift(-steps) / s - 1)


def saved(frame: pd.DataFrame, folder: Path, name: str = "table.csv") -> str:
    path = folder / name
    frame.to_parquet(path) if path.suffix == ".parquet" else frame.to_csv(path, index=False)
    return str(path)


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["ste-audit", *arguments])
    try:
        main()
    except SystemExit as leave:
        return int(leave.code or 0)
    return 0


def test_a_table_with_other_names_is_audited_and_its_page_written(folder: Path, monkeypatch, capsys):
    path = saved(prices(), folder)
    assert command(monkeypatch, path, "shuffles=0") == 0
    printed = capsys.readouterr().out
    assert "contract" not in printed
    assert "date: Date; ticker: Symbol" in printed
    assert "coming return: computed from Price, 1 row ahead" in printed
    page = Path(re.search(r"page +(\S+)", printed).group(1))
    assert page.name == "audit-table.html"
    text = page.read_text()
    assert "Leakage audit of table" in text
    assert "http" not in re.sub(r"http-equiv", "", text)  # it loads nothing
    assert max(len(line) for line in printed.splitlines() if not re.search("digest|page ", line)) <= 80


def test_a_leak_is_named_by_the_files_own_column_and_stands_on_the_page(folder: Path, monkeypatch, capsys):
    frame = prices()
    noise = np.random.default_rng(1).normal(0, 0.01, len(frame))
    path = saved(frame.assign(**{"<sneaky>": coming(frame).fillna(0) + noise}), folder)
    assert command(monkeypatch, path, "shuffles=0", "file=out/page.html") == ALARM
    assert "single columns: <sneaky>" in capsys.readouterr().out
    text = Path("out/page.html").read_text()
    assert "&lt;sneaky&gt;" in text
    assert "<sneaky>" not in text


def test_a_first_argument_without_an_equals_sign_is_the_table():
    assert as_settings(["a.csv", "return=r", "--help"]) == ["table=a.csv", "returns=r", "--help"]
    assert as_settings(["data=csv", "data.train=a.csv"]) == ["data=csv", "data.train=a.csv"]


def test_a_missing_file_and_a_missing_column_are_mistakes(folder: Path, monkeypatch, capsys):
    assert command(monkeypatch, "no.csv") == 2
    assert "no.csv: no such file" in capsys.readouterr().err
    path = saved(prices(), folder)
    with pytest.raises(DataError, match=r"label=goal: .* has no such column. It has Date, Symbol, Price, noise, mom"):
        read_plain(path, label="goal")
    with pytest.raises(DataError, match=r"no column for the date. Found a. Expected a column named date"):
        read_plain(saved(pd.DataFrame({"a": [1, 2]}), folder, "b.csv"))
    wrong = prices().astype({"Date": str}).assign(Date=lambda f: f["Date"].where(f.index != 2, "soon"))
    with pytest.raises(DataError, match=r"column Date, line 4: found soon. Expected a day such as 2024-11-29"):
        read_plain(saved(wrong, folder))
    with pytest.raises(DataError, match="several rows per ticker and day"):
        read_plain(saved(prices(step="h"), folder))


def test_the_return_is_that_of_the_next_close(folder: Path):
    frame = prices()
    for horizon in (1, 4):
        table = read_plain(saved(frame, folder), horizon=horizon).table
        expected = coming(frame.sort_values(["Symbol", "Date"]), horizon).dropna()
        np.testing.assert_allclose(table.returns, expected)
        assert len(table.frame) == len(expected)


@pytest.mark.parametrize(("name", "used"), [("fwd_return", True), ("ret", True), ("returns", True)])
def test_a_coming_return_is_found_by_its_name_or_by_the_closes(folder: Path, name: str, used: bool):
    frame = prices().assign(**{name: coming(prices())})
    plain = read_plain(saved(frame, folder))
    assert (plain.returns == name) == used
    assert name not in plain.table.features


def test_a_trailing_return_is_a_feature_unless_it_is_named(folder: Path):
    frame = prices()
    frame["ret"] = frame.groupby("Symbol")["Price"].pct_change()
    plain = read_plain(saved(frame, folder))
    assert "ret" in plain.table.features
    assert "ret is trailing, and read as a feature; return=ret makes it the coming return" in plain.summary
    report = audit_plain(saved(frame, folder), returns="ret", shuffles=0)
    assert ("horizon", "ret") in {(alarm.check, alarm.where) for alarm in report.alarms}


def test_labels_of_any_spelling():
    np.testing.assert_array_equal(class_codes(pd.Series(["up", "down", None, "up"])), [2, 0, np.nan, 2])
    np.testing.assert_array_equal(class_codes(pd.Series(["Hold", "Buy", "Sell"])), [1, 2, 0])
    np.testing.assert_array_equal(class_codes(pd.Series([-1, 0, 1])), [0, 1, 2])
    np.testing.assert_array_equal(class_codes(pd.Series([1.0, 5.0, 4.0, 2.0])), [0, 4, 3, 1])
    assert class_codes(pd.Series(np.arange(9))) is None


def test_a_label_a_split_and_further_labels_are_recognized(folder: Path):
    frame = prices()
    frame["target"] = np.where(coming(frame) > 0, "up", "down")
    frame["fwd_5d"] = coming(frame, 5)
    frame["set"] = np.where(frame["Date"] < "2019-01-01", "training", "holdout")
    plain = read_plain(saved(frame, folder))
    assert plain.label == "target"
    assert "fwd_5d" not in plain.table.features
    assert "left out as further labels: fwd_5d" in plain.summary
    assert set(plain.table.frame["split"]) == {"train", "test"}
    assert (plain.table.frame.loc[plain.table.training, "date"] < "2019-01-01").all()
    up = plain.table.frame[RETURN] > 0
    np.testing.assert_array_equal(plain.table.frame.loc[up, DIRECTION], 2)


def test_a_date_in_the_index_and_no_ticker(folder: Path):
    frame = prices(tickers=1).drop(columns="Symbol").set_index("Date")
    plain = read_plain(saved(frame, folder, "one.parquet"))
    assert "date: Date; ticker: none, one series" in plain.summary
    assert len(plain.table.ticker_names) == 1


@pytest.mark.parametrize(("step", "word"), [("B", "day"), ("W-FRI", "week"), ("ME", "month"), ("QE", "month")])
def test_rows_of_other_frequencies(folder: Path, step: str, word: str):
    table = read_plain(saved(prices(days=60, step=step), folder)).table
    assert table.word == word
    assert set(np.diff(np.unique(table.periods))) == {1}


def test_a_file_of_bars_has_its_bars_checked(folder: Path):
    frame = prices().rename(columns={"Price": "Close"})
    frame = frame.assign(Open=frame["Close"], High=frame["Close"] * 1.01, Low=frame["Close"] * 0.99, Volume=1000.0)
    checks = {result.check for result in audit_plain(saved(frame, folder), shuffles=0).results}
    assert {"bars", "bar values", "sessions", "volumes"} <= checks
    assert "bars" not in {result.check for result in audit_plain(saved(prices(), folder), shuffles=0).results}


def test_a_file_without_label_return_and_close_has_its_columns_checked(folder: Path):
    frame = prices().drop(columns="Price")
    frame["noise"] = (frame["noise"] - frame["noise"].mean()) / frame["noise"].std()
    report = audit_plain(saved(frame, folder))
    assert {(alarm.check, alarm.where) for alarm in report.alarms} == {("scalers", "noise")}
