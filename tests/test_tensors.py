"""Tables as arrays on disk: the same rows as in memory, whole or not there."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from feature_sets import FEATURES, WEEKLY21
from ste.data.row_store import RowStore
from ste.data.storage.memory_mapped import (
    ARRAYS,
    FORMAT,
    INDEX,
    TensorWriter,
    read_tensors,
    tensors_digest,
    write_tensors,
)
from ste.data.window_dataset import SequenceDataset
from ste.errors import DataError
from ste.features.volatility import trailing_volatility, with_market_range
from ste.market.calendar import WEEKS
from ste.schema import DIRECTION, RETURN


def table(tickers: int = 7, weeks: int = 30, seed: int = 0) -> pd.DataFrame:
    """Rows of a weekly table with splits, sorted by ticker and date; one ticker misses a week."""
    rng = np.random.default_rng(seed)
    n = tickers * weeks
    frame = pd.DataFrame(np.exp(rng.normal(size=(n, len(FEATURES)))), columns=list(FEATURES))
    frame["stock_high"] = frame["stock_low"] * np.exp(0.1 * rng.random(n))
    week = np.tile(np.arange(weeks), tickers)
    frame["date"] = pd.Timestamp("2024-01-05") + pd.to_timedelta(7 * week, unit="D")
    frame["ticker"] = np.repeat([f"T{number:02d}" for number in range(tickers)], weeks)
    frame[RETURN] = rng.normal(scale=0.02, size=n)
    frame[DIRECTION] = rng.integers(0, 3, n)
    frame["split"] = np.digitize(week, [weeks // 2, 3 * weeks // 4]).astype(np.int8)
    return frame.drop(index=2 * weeks + 5).reset_index(drop=True)


def blocks(frame: pd.DataFrame, size: int = 3) -> list[pd.DataFrame]:
    names = frame["ticker"].unique()
    return [frame[frame["ticker"].isin(names[at : at + size])] for at in range(0, len(names), size)]


def array(folder: Path, name: str, width: int = 1) -> np.ndarray:
    values = np.fromfile(folder / name, dtype=ARRAYS[name])
    return values.reshape(-1, width) if width > 1 else values


def test_arrays_are_the_same_however_the_rows_are_cut_into_blocks(tmp_path: Path) -> None:
    frame = table()
    for size in (1, 3, 100):
        write_tensors(blocks(frame, size), tmp_path / str(size), WEEKLY21, WEEKS, "abc")
    for name in (*ARRAYS, INDEX):
        one = (tmp_path / "1" / name).read_bytes()
        assert len(one) > 0 or name == "label_end.i4"  # the horizon decides for all rows
        assert all((tmp_path / size / name).read_bytes() == one for size in ("3", "100"))
    assert array(tmp_path / "3", "features.f4", len(FEATURES)).tolist() == (
        frame[list(FEATURES)].to_numpy(dtype=np.float32).tolist()
    )
    assert array(tmp_path / "3", "return.f8").tolist() == frame[RETURN].tolist()


def test_volatility_in_blocks_is_that_of_the_whole_table(tmp_path: Path) -> None:
    frame = table()
    write_tensors(blocks(frame), tmp_path / "t", WEEKLY21, WEEKS, "abc")
    whole = trailing_volatility(frame, WEEKLY21)
    own = array(tmp_path / "t", "volatility.f4", whole.shape[1] - 1)
    ranges = np.fromfile(tmp_path / "t" / "ranges.f8").reshape(-1, 2)
    days = frame["date"].to_numpy().astype("datetime64[D]").astype(np.int64)
    assert ranges[:, 0].tolist() == np.unique(days).tolist()
    found = with_market_range(own, ranges[np.searchsorted(ranges[:, 0], days), 1])
    np.testing.assert_allclose(found, whole, rtol=2e-7)


def test_history_starts_anew_with_a_ticker_and_after_a_missing_week(tmp_path: Path) -> None:
    write_tensors(blocks(table(tickers=3, weeks=8)), tmp_path / "t", WEEKLY21, WEEKS, "abc")
    assert array(tmp_path / "t", "history.i4").tolist() == [*range(1, 9), *range(1, 9), *range(1, 6), 1, 2]


def test_a_folder_is_whole_or_not_there(tmp_path: Path) -> None:
    frame = table()
    write_tensors(blocks(frame), tmp_path / "t", WEEKLY21, WEEKS, "first")
    with pytest.raises(RuntimeError), TensorWriter(tmp_path / "t", WEEKLY21, WEEKS) as writer:
        writer.append(blocks(frame)[0])
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["t"]
    assert '"first"' in (tmp_path / "t" / INDEX).read_text()
    write_tensors(blocks(frame), tmp_path / "t", WEEKLY21, WEEKS, "second")
    assert [path.name for path in tmp_path.iterdir()] == ["t"]
    assert '"second"' in (tmp_path / "t" / INDEX).read_text()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda frame: [*blocks(frame), blocks(frame)[0]],  # a ticker twice
        lambda frame: blocks(frame)[::-1],
        lambda frame: [frame.iloc[::-1]],
        lambda frame: [pd.concat([frame, frame.iloc[-1:]])],  # a date twice
        lambda frame: [frame.sort_values(["date", "ticker"])],
    ],
)
def test_rows_out_of_order_are_refused(wrong, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not in order"):
        write_tensors(wrong(table()), tmp_path / "t", WEEKLY21, WEEKS, "abc")
    assert not list(tmp_path.iterdir())


def test_a_mapped_store_is_that_of_the_same_table_in_memory(tmp_path: Path) -> None:
    frame = table(tickers=9, weeks=40, seed=1)
    write_tensors(blocks(frame), tmp_path / "t", WEEKLY21, WEEKS, "abc")
    assert tensors_digest(tmp_path / "t") == "abc"
    for classes in (2, 3):
        held = RowStore.from_frame(frame.sample(frac=1.0, random_state=2), WEEKLY21, WEEKS, classes)
        store = read_tensors(tmp_path / "t", classes)
        assert len(store) == len(held) == len(frame)
        assert torch.equal(store.features, held.features)
        for name in ("label", "history"):
            assert getattr(store, name).tolist() == getattr(held, name).tolist()
        assert store.period.tolist() == held.period.tolist()
        for name in ("day", "split", "returns", "directions", "ticker", "tickers"):
            assert getattr(store.columns, name).tolist() == getattr(held.columns, name).tolist()
        rows = np.arange(len(frame))[::-3]
        assert (store.columns.dates(rows) == held.columns.dates(rows)).all()
        np.testing.assert_allclose(store.columns.volatility(rows), held.columns.volatility(rows), rtol=2e-7)
        ours, theirs = (SequenceDataset(one, one.columns.split == 0, 5) for one in (store, held))
        assert len(ours) == len(theirs) > 0
        batch, same = (one[torch.arange(len(one))] for one in (ours, theirs))
        assert torch.equal(batch.features, same.features)
        assert torch.equal(batch.label, same.label)
        assert batch.label.dtype == torch.int64
        assert ours.class_counts(classes).tolist() == theirs.class_counts(classes).tolist()


def test_what_is_written_to_a_mapped_array_reaches_no_disk(tmp_path: Path) -> None:
    write_tensors(blocks(table()), tmp_path / "t", WEEKLY21, WEEKS, "abc")
    before = (tmp_path / "t" / "features.f4").read_bytes()
    store = read_tensors(tmp_path / "t")
    store.features[:] = 7.0
    assert (tmp_path / "t" / "features.f4").read_bytes() == before
    with pytest.raises(TypeError, match="no frame"):
        _ = store.frame


def test_arrays_of_another_format_or_none_have_no_digest(tmp_path: Path) -> None:
    assert tensors_digest(tmp_path) is None
    write_tensors(blocks(table()), tmp_path / "t", WEEKLY21, WEEKS, "abc")
    index = json.loads((tmp_path / "t" / INDEX).read_text())
    (tmp_path / "t" / INDEX).write_text(json.dumps(index | {"format": FORMAT + 1}))
    assert tensors_digest(tmp_path / "t") is None
    (tmp_path / "t" / INDEX).write_text("{")
    assert tensors_digest(tmp_path / "t") is None
