"""Tables in parts: the rows that were written come back, in blocks of tickers."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from ste.data.storage.files import sha256
from ste.data.storage.parquet_shards import PartsWriter, digest, part_files, read_parts_blocks
from ste.errors import DataError


def rows(tickers: list[str], days: pd.DatetimeIndex, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    n = len(tickers) * len(days)
    return pd.DataFrame(
        {
            "date": np.tile(days.to_numpy(), len(tickers)),
            "ticker": np.repeat(tickers, len(days)),
            "stock_close": rng.lognormal(size=n),
            "stock_trend_direction": rng.integers(3, size=n),
        }
    )


DAYS = pd.date_range("2019-06-03", "2021-03-01", freq="17D")


def written(folder: Path, blocks: list[pd.DataFrame]) -> dict[str, str]:
    with PartsWriter(folder) as writer:
        for block in blocks:
            writer.append(block)
        return writer.close()


def test_a_file_for_each_year_with_a_row_group_for_each_block(tmp_path: Path) -> None:
    first, second, late = (
        rows(["A", "B"], DAYS),
        rows(["C"], DAYS, 1),
        rows(["D"], DAYS[DAYS.year == 2021], 2),
    )
    parts = written(tmp_path / "table", [first, second, late])
    assert list(parts) == ["2019.parquet", "2020.parquet", "2021.parquet"]
    assert {path.name: sha256(path) for path in part_files(tmp_path / "table")} == parts
    whole = pd.concat([first, second, late], ignore_index=True)
    for path in part_files(tmp_path / "table"):
        expected = whole[whole["date"].dt.year == int(path.stem)].reset_index(drop=True)
        found = pd.read_parquet(path)
        assert found["ticker"].dtype == whole["ticker"].dtype
        pd.testing.assert_frame_equal(found.astype({"date": whole["date"].dtype}), expected, check_exact=True)
        assert pq.ParquetFile(path).num_row_groups == (3 if path.stem == "2021" else 2)


def test_the_same_rows_give_the_same_bytes_and_other_rows_others(tmp_path: Path) -> None:
    block = rows(["A", "B"], DAYS)
    parts = [written(tmp_path / name, [block]) for name in ("one", "two")]
    assert parts[0] == parts[1]
    assert digest(parts[0]) == digest(dict(reversed(parts[1].items())))
    other = written(tmp_path / "three", [block.assign(stock_close=block["stock_close"] + 1e-9)])
    assert digest(other) != digest(parts[0])


def test_blocks_of_many_and_of_few_tickers_go_into_one_file(tmp_path: Path) -> None:
    names = [f"T{number:03d}" for number in range(301)]  # 300 need more than a byte to tell apart, the last does not
    many, few = rows(names[:300], DAYS[:2]), rows(names[300:], DAYS[:2], 1)
    written(tmp_path / "table", [many, few])
    found = pd.read_parquet(tmp_path / "table" / "2019.parquet")
    assert found["ticker"].tolist() == [*many["ticker"], *few["ticker"]]


@pytest.mark.parametrize("size", [1, 2, 5])
def test_blocks_come_back_whole_over_splits_and_years(tmp_path: Path, size: int) -> None:
    names = ["A", "B", "ZZ", "a", "é"]
    whole = pd.concat([rows([name], DAYS[i:], i) for i, name in enumerate(names)], ignore_index=True)
    whole["split"] = (whole["date"] >= "2020-02-01").astype(np.int8) + (whole["date"] >= "2020-09-01").astype(np.int8)
    folders = {}
    for code, split in enumerate(("train", "validation", "test")):
        folders[split] = tmp_path / split
        own = whole[whole["split"] == code].drop(columns="split")
        written(folders[split], [own[own["ticker"].isin(names[i : i + size])] for i in range(0, len(names), size)])
    blocks = list(read_parts_blocks(folders))
    assert [list(block["ticker"].unique()) for block in blocks] == [
        names[i : i + size] for i in range(0, len(names), size)
    ]
    found = pd.concat([block.astype({"ticker": str}) for block in blocks], ignore_index=True)
    pd.testing.assert_frame_equal(found.astype(whole.dtypes), whole, check_exact=True)


def test_a_part_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    written(tmp_path / "table", [rows(["A"], DAYS)])
    (tmp_path / "table" / "2020.parquet").write_bytes(b"not a table")
    with pytest.raises(DataError, match=r"2020\.parquet: cannot be read as a part of a table"):
        list(read_parts_blocks({"train": tmp_path / "table"}))
