"""Prediction by several processes: to the byte what one process writes, and nothing where one of them is lost."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hydra import compose, initialize_config_dir

from onnx_files import tiny_model
from ste.config import WorldSettings
from ste.config.hydra_app import plain_keys
from ste.config.load import conf_dir, plain, predict_settings
from ste.data.build.labelled_rows import build_table
from ste.errors import ConfigError, DataError, RunError
from ste.inference.batch import process_pool as workers
from ste.inference.batch import ray_tasks as cluster
from ste.inference.batch.parallel import Task, predict_spread
from ste.inference.batch.prediction_loop import CHUNK, Advance, Tally, predict_table
from ste.inference.batch.shards import Share, shares_of, turns
from ste.inference.batch.table_reader import CsvTable, open_table
from ste.inference.onnx_model import ServedModel

WORLD = WorldSettings(source="world", tickers=7, start="2020-01-01", end="2021-12-31")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """A weekly table, by date and ticker, with every kind of row that is left out."""
    frame = build_table(WORLD)[0].reset_index(drop=True)
    frame = pd.concat([frame, frame.iloc[60:64], frame.iloc[[10]]], ignore_index=True)  # older ones, again
    frame = frame.drop(index=range(100, 130))  # gaps, after which histories are short
    frame["ticker"] = frame["ticker"].astype(object)
    frame.loc[[5, 200, 300], "ticker"] = None
    frame.loc[[7, 250, 600], "stock_close"] = np.nan
    frame.loc[310, "ticker"] = 'A "quoted", name'
    return frame.reset_index(drop=True)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A tiny served model that reads windows of four weeks."""
    tiny_model(tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def in_turn(tasks: Sequence[Task], advance: Advance) -> list[Tally]:
    """All tasks, one after the other, here."""
    return [task(advance) for task in tasks]


def both(
    model: Path, path: Path, count: int, ending: str, run: Callable[..., Any] = in_turn
) -> tuple[list[bytes], list[bytes], list[Tally]]:
    """Output and rejects of one process, the same of several, and both tallies."""
    files = [(path.parent / f"{who}{ending}", path.parent / f"{who}.rejects.csv") for who in ("one", "several")]
    tallies = [
        predict_table(ServedModel(model), open_table(path), *files[0]),
        predict_spread(model, 1, path, *files[1], workers=count, run=run),
    ]
    one, several = ([file.read_bytes() for file in pair] for pair in files)
    return one, several, tallies


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables of a few hundred rows in many chunks."""
    for place in ("run", "spread"):
        monkeypatch.setattr(f"ste.inference.batch.{place}.CHUNK", 50)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("count", [1, 2, 3, 20])
@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".parquet"])
def test_several_write_what_one_writes(tmp_path: Path, table: pd.DataFrame, model: Path, count: int, ending: str):
    path = tmp_path / ("table.parquet" if ending == ".parquet" else "table.csv")
    if ending == ".parquet":
        table.to_parquet(path, index=False)
    else:
        text = table.to_csv(index=False, date_format="%Y-%m-%d").splitlines()
        text[30:30] = ["", "too,few", text[40] + ",one more"]  # a blank line and two records that are none
        path.write_text("\n".join([*text, "2021-01-01,last"]) + "\n")
    one, several, (expected, found) = both(model, path, count, ending)
    assert several[1] == one[1]
    if ending == ".csv.gz":  # the stream's own header has a time
        assert pd.read_csv(tmp_path / "several.csv.gz").equals(pd.read_csv(tmp_path / "one.csv.gz"))
    else:
        assert several[0] == one[0]
    assert found == expected
    assert found.predicted > 300
    assert found.rejected >= 10
    assert found.short > 20
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def by_ticker(table: pd.DataFrame, path: Path, rows: int) -> pd.DataFrame:
    """The table's whole rows sorted by ticker, in row groups of so many rows."""
    frame = table[table["ticker"].notna()].sort_values(["ticker", "date"], kind="stable", ignore_index=True)
    content = pa.Table.from_pandas(frame, preserve_index=False)
    with pq.ParquetWriter(path, content.schema) as writer:
        for start in range(0, len(frame), rows):
            writer.write_table(content.slice(start, rows))
    return frame


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("rows", [30, 95, 1000])
def test_a_file_by_ticker_is_cut_where_its_row_groups_begin(
    tmp_path: Path, table: pd.DataFrame, model: Path, rows: int
):
    path = tmp_path / "table.parquet"
    frame = by_ticker(table, path, rows)
    opened = open_table(path)
    shares = shares_of(opened, 3)
    assert all((share.groups is None) == (rows == 1000) for share in shares)  # one row group cannot be cut
    if rows < 1000:
        read = [len(share.groups or ()) * rows for share in shares]
        assert max(read) < len(frame)
    one, several, (expected, found) = both(model, path, 3, ".parquet")
    assert several == one
    assert found == expected


@pytest.mark.usefixtures("small_chunks")
def test_a_folder_of_parts_is_cut_too_and_a_ticker_goes_on_from_file_to_file(
    tmp_path: Path, table: pd.DataFrame, model: Path
):
    folder = tmp_path / "parts"
    folder.mkdir()
    dates = pd.to_datetime(table["date"])
    for year in (2020, 2021):
        by_ticker(table[dates.dt.year == year], folder / f"{year}.parquet", 60)
    shares = shares_of(open_table(folder), 3)
    assert len(shares) == 3
    assert all({file for file, _ in share.groups or ()} == {0, 1} for share in shares)
    one, several, (expected, found) = both(model, folder, 3, ".csv")
    assert several == one
    assert found == expected
    assert b"2021.parquet" in one[1]


def test_shares_hold_each_row_once(tmp_path: Path, table: pd.DataFrame):
    table.to_csv(tmp_path / "table.csv", index=False)
    lines = [
        turn.chunk.line
        for share in shares_of(CsvTable(tmp_path / "table.csv"), 4)
        for turn in turns(CsvTable(tmp_path / "table.csv"), share, ["ticker", "date"], CHUNK)
    ]
    assert sorted(np.concatenate(lines).tolist()) == list(range(2, len(table) + 2))
    assert sum(len(one) > 0 for one in lines) > 1


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_a_ticker_is_of_one_share_whatever_its_encoding(kind: pa.DataType):
    cells = pa.array(["a", None, "b", "a", "é", ""]).cast(kind)
    held = np.array([Share(number, 3).holds(cells) for number in range(3)])
    assert held.sum(axis=0).tolist() == [1] * 6
    assert held[:, 0].tolist() == held[:, 3].tolist()
    assert held[0, 1]


def test_what_is_wrong_with_a_table_is_told_and_leaves_nothing(tmp_path: Path, table: pd.DataFrame, model: Path):
    path, out = tmp_path / "table.parquet", tmp_path / "out"
    spread = partial(predict_spread, model, 1, path, out / "o.csv", out / "r.csv", 2)
    table.drop(columns="macro_vix").to_parquet(path)
    with pytest.raises(DataError, match="macro_vix"):
        spread(in_turn)
    table.assign(macro_vix=table["date"]).to_parquet(path)
    with pytest.raises(DataError, match=r"table\.parquet: column macro_vix: holds timestamp"):
        spread(workers.on_this_machine)
    assert not list(out.iterdir())


class Dies(Task):
    """A share whose process is killed."""

    def __call__(self, report: Any = None) -> Tally:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


def dying(tasks: Sequence[Task], advance: Advance) -> list[Tally]:
    """The second of the tasks dies."""
    lost = Dies(**vars(tasks[1]))
    return workers.on_this_machine([tasks[0], lost, *tasks[2:]], advance)


def test_a_process_that_is_lost_is_told_and_leaves_nothing(tmp_path: Path, table: pd.DataFrame, model: Path):
    path, out = tmp_path / "table.parquet", tmp_path / "out"
    table.to_parquet(path)
    with pytest.raises(RunError, match=r"process 2 of 2 was ended by signal 9.*Nothing was written"):
        predict_spread(model, 1, path, out / "o.csv", out / "r.csv", 2, dying)
    assert not list(out.iterdir())


def test_processes_of_this_machine_write_what_one_writes(tmp_path: Path, table: pd.DataFrame, model: Path):
    path = tmp_path / "table.parquet"
    table.to_parquet(path)
    one, several, (expected, found) = both(model, path, 2, ".csv", workers.on_this_machine)
    assert several == one
    assert found == expected


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["workers=0", "input=a.csv"], "workers=0: expected 1 or more"),
        (["workers=2", "bars=a.csv"], "workers=2: expected input=FILE beside it"),
        (["cluster=ray", "bars=a.csv"], "cluster=ray: expected input=FILE beside it"),
        (["cluster=moon", "input=a.csv"], "cluster=moon: expected ray, or null"),
    ],
)
def test_settings_that_do_not_fit_are_told(overrides: list[str], message: str):
    assert "cluster" not in plain_keys("predict")
    with initialize_config_dir(version_base="1.3", config_dir=str(conf_dir())):
        config = compose("predict", overrides=["output=out.csv", *overrides])
    with pytest.raises(ConfigError, match=message):
        predict_settings(plain(config))


def test_without_ray_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(ConfigError, match=r"cluster=ray: Ray is not installed\. Type pip install 'ste\[ray\]'"):
        cluster.on_ray([], lambda done: None)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1:99999"])
def test_a_cluster_that_is_not_there_is_told_at_once(monkeypatch: pytest.MonkeyPatch, address: str):
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(ConfigError, match=f"RAY_ADDRESS={address}: no cluster is there.*workers run on this machine"):
        cluster.on_ray([], lambda done: None)


# Slow: processes


@pytest.mark.slow
def test_a_ray_cluster_writes_what_one_writes(tmp_path: Path, table: pd.DataFrame, model: Path):
    pytest.importorskip("ray")
    path = tmp_path / "table.parquet"
    table.to_parquet(path)
    one, several, (expected, found) = both(model, path, 2, ".csv", cluster.on_ray)
    assert several == one
    assert found == expected
    table.assign(macro_vix=table["date"]).to_parquet(path)
    with pytest.raises(DataError, match=r"table\.parquet: column macro_vix: holds timestamp"):
        predict_spread(model, 1, path, tmp_path / "o.csv", tmp_path / "r.csv", 2, cluster.on_ray)


@pytest.mark.slow
def test_an_lstm_says_the_same_of_a_row_whatever_rows_it_is_asked_beside(tmp_path: Path):
    """Shares ask in other batches: the last bit of a probability must not depend on them."""
    from benchmarks.prediction import random_blocks, run_command, write_table

    run_command(tmp_path, "train", "model=lstm", "data.tickers=4", "trainer.max_epochs=1", "scoring.resamples=200")
    run_command(tmp_path, "export", "run=latest", "output=model.onnx")
    path = tmp_path / "table.parquet"
    write_table(random_blocks(40_000, 101, "date"), path)
    one, several, (expected, found) = both(tmp_path / "model.onnx", path, 3, ".parquet")
    assert several == one
    assert found == expected
    assert torch.get_num_threads() == 1


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_command_that_is_stopped_leaves_no_process(tmp_path: Path, model: Path, number: int):
    from benchmarks.prediction import random_blocks, write_table

    path, out = tmp_path / "table.parquet", tmp_path / "out"
    write_table(random_blocks(2_000_000, 500, "date"), path)
    process = subprocess.Popen(
        [sys.executable, "-m", "ste.predict", f"model={model}", f"input={path}", f"output={out}/o.csv", "workers=2"],
        cwd=tmp_path,
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    while not list(out.glob(".o.csv.*/1.arrows")):
        assert process.poll() is None
        time.sleep(0.05)
    if number == signal.SIGKILL:
        process.kill()
    else:
        os.killpg(process.pid, number)
    expected = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGKILL: -signal.SIGKILL}
    assert process.wait(60) == expected[signal.Signals(number)]
    for _ in range(600):
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.1)
    else:
        pytest.fail("a process was left")
    if number != signal.SIGKILL:
        assert not list(out.iterdir())
