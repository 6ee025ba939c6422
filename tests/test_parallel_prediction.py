"""Prediction by several workers: the rows and values of one, a part per shard, and nothing if a worker is lost."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from onnx_files import tiny_model
from ste.config import PathSettings, PredictSettings, SyntheticSettings, TrackingSettings
from ste.config.load import compose_command, load_settings
from ste.data.build.labelled_rows import build_table
from ste.errors import ConfigError, DataError, RunError
from ste.inference.batch import prediction_loop
from ste.inference.batch.file_prediction import check_outputs, predict_file
from ste.inference.batch.output_parts import atomic_folder
from ste.inference.batch.parallel import Runner, ShardTask, predict_shards
from ste.inference.batch.prediction_loop import Advance, RowCounts, predict_table
from ste.inference.batch.process_pool import run_in_processes
from ste.inference.batch.ray_data import run_on_ray
from ste.inference.batch.shards import Shard, ShardReader, plan_shards
from ste.inference.batch.table_reader import open_table
from ste.inference.onnx_model import ServedModel

WORLD = SyntheticSettings(source="world", tickers=7, start="2020-01-01", end="2021-12-31")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """A weekly table by date and ticker with every kind of row that is not predicted."""
    frame = build_table(WORLD)[0].reset_index(drop=True)
    frame = pd.concat([frame, frame.iloc[60:64], frame.iloc[[10]]], ignore_index=True)  # out of order, repeated
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


def in_turn(tasks: Sequence[ShardTask], advance: Advance) -> list[RowCounts]:
    """Run the tasks one after the other in this process."""
    return [task() for task in tasks]


def read_output(path: Path, keys: list[str]) -> pd.DataFrame:
    """Read a file, or the parts of a folder, sorted by some columns."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    frames = [pd.read_parquet(file) if file.suffix == ".parquet" else pd.read_csv(file) for file in files]
    rows = [frame for frame in frames if len(frame)] or frames[:1]
    return pd.concat(rows).sort_values(keys, ignore_index=True)


def settings_of(path: Path, output: Path, rejects: Path, workers: int) -> PredictSettings:
    return PredictSettings(
        TrackingSettings(),
        PathSettings(),
        input=str(path),
        output=str(output),
        rejects=str(rejects),
        workers=workers,
        cluster="ray",
    )


def assert_same(
    model: Path, path: Path, count: int, ending: str, run: Runner = in_turn
) -> tuple[RowCounts, list[Path]]:
    """Compare the output of several workers with that of one; gives the counts and the parts."""
    one, several = path.parent / f"one{ending}", path.parent / f"several{ending}"
    rejects = [path.parent / "one.rejects.csv", path.parent / "several.rejects.csv"]
    expected = predict_table(ServedModel(model), open_table(path), one, rejects[0])
    counts = predict_shards(settings_of(path, several, rejects[1], count), model, run)
    assert counts == expected
    pd.testing.assert_frame_equal(*(read_output(file, ["ticker", "date"]) for file in (several, one)))
    lines = [
        read_output(file, [name for name in ("file", "line") if name in pd.read_csv(rejects[0])]) for file in rejects
    ]
    pd.testing.assert_frame_equal(*lines, check_dtype=False)
    assert not [file for file in path.parent.iterdir() if file.name.startswith(".")]
    parts = sorted(several.iterdir())
    assert [part.name for part in sorted(rejects[1].iterdir())] == [f"part-{i:05d}.csv" for i in range(len(parts))]
    return counts, parts


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read tables of a few hundred rows in many chunks."""
    monkeypatch.setattr(prediction_loop, "CHUNK", 50)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize(
    ("count", "ending"), [(1, ".csv"), (2, ".csv.gz"), (3, ".csv"), (3, ".parquet"), (20, ".parquet")]
)
def test_workers_give_the_rows_and_values_of_one(
    tmp_path: Path, table: pd.DataFrame, model: Path, count: int, ending: str
):
    path = tmp_path / ("table.parquet" if ending == ".parquet" else "table.csv")
    if ending == ".parquet":
        table.to_parquet(path, index=False)
    else:
        text = table.to_csv(index=False, date_format="%Y-%m-%d").splitlines()
        text[30:30] = ["", "too,few", text[40] + ",one more"]  # a blank line and two lines that are not rows
        path.write_text("\n".join([*text, "2021-01-01,last"]) + "\n")
    counts, parts = assert_same(model, path, count, ending)
    assert [part.name for part in parts] == [f"part-{i:05d}{ending}" for i in range(count)]
    assert counts.predicted > 300
    assert counts.rejected >= 10
    assert counts.short > 20


def write_by_ticker(table: pd.DataFrame, path: Path, rows: int) -> pd.DataFrame:
    """Write the rows that have a ticker, sorted by ticker, in row groups of `rows` rows."""
    frame = table[table["ticker"].notna()].sort_values(["ticker", "date"], kind="stable", ignore_index=True)
    content = pa.Table.from_pandas(frame, preserve_index=False)
    with pq.ParquetWriter(path, content.schema) as writer:
        for start in range(0, len(frame), rows):
            writer.write_table(content.slice(start, rows))
    return frame


def rows_read(table: Any, shards: list[Shard]) -> list[int]:
    """Rows of the row groups that each shard reads."""
    return [sum(group.rows for group in table.ticker_ranges() if shard.overlaps(group)) for shard in shards]


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("rows", [30, 95, 1000])
def test_a_file_by_ticker_is_split_at_row_groups(tmp_path: Path, table: pd.DataFrame, model: Path, rows: int):
    path = tmp_path / "table.parquet"
    frame = write_by_ticker(table, path, rows)
    opened = open_table(path)
    shards = plan_shards(opened, 3)
    assert all(shard.by_range == (rows < 1000) for shard in shards)  # a single row group cannot be split
    if rows < 1000:
        assert max(rows_read(opened, shards)) < len(frame)
    assert_same(model, path, 3, ".parquet")


@pytest.mark.usefixtures("small_chunks")
def test_a_folder_of_parts_is_split_and_a_ticker_continues_in_the_next_file(
    tmp_path: Path, table: pd.DataFrame, model: Path
):
    folder = tmp_path / "parts"
    folder.mkdir()
    dates = pd.to_datetime(table["date"])
    for year in (2020, 2021):
        write_by_ticker(table[dates.dt.year == year], folder / f"{year}.parquet", 60)
    shards = plan_shards(open_table(folder), 3)
    assert [shard.by_range for shard in shards] == [True] * 3
    files = [
        {chunk.file for chunk, _ in ShardReader(open_table(folder), shard).chunks(["ticker"], 50)} for shard in shards
    ]
    assert files == [{"2020.parquet", "2021.parquet"}] * 3
    assert_same(model, folder, 3, ".csv")
    assert "2021.parquet" in (tmp_path / "one.rejects.csv").read_text()


def test_shards_contain_each_row_once(tmp_path: Path, table: pd.DataFrame):
    table.to_csv(tmp_path / "table.csv", index=False)
    opened = open_table(tmp_path / "table.csv")
    lines = [
        chunk.line
        for shard in plan_shards(opened, 4)
        for chunk, _ in ShardReader(opened, shard).chunks(["ticker", "date"], 100)
    ]
    assert sorted(np.concatenate(lines).tolist()) == list(range(2, len(table) + 2))
    assert sum(len(one) > 0 for one in lines) > 1


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_a_ticker_is_in_one_shard_whatever_its_encoding(kind: pa.DataType):
    cells = pa.array(["a", None, "b", "a", "é", ""]).cast(kind)
    masks = np.array([Shard(index, 3).mask(cells) for index in range(3)])
    assert masks.sum(axis=0).tolist() == [1] * 6
    assert masks[:, 0].tolist() == masks[:, 3].tolist()
    assert masks[0, 1]


def test_an_older_folder_of_parts_is_replaced_and_survives_an_error(tmp_path: Path):
    for text in ("first", "second"):
        with atomic_folder(tmp_path / "out") as folder:
            (folder / text).write_text(text)
    with pytest.raises(ZeroDivisionError), atomic_folder(tmp_path / "out") as folder:
        (folder / "third").write_text("third")
        _ = 1 / 0
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["second"]


def test_a_folder_as_output_has_one_part_and_is_replaced(folder: Path, table: pd.DataFrame):
    tiny_model(folder / "model.onnx")
    table.to_parquet("t.parquet")
    settings = partial(
        PredictSettings, TrackingSettings(), PathSettings(), model=str(folder / "model.onnx"), input="t.parquet"
    )
    for _ in range(2):
        result = predict_file(settings(output="out"))
        assert [part.name for part in (folder / "out").iterdir()] == ["part-00000.parquet"]
        assert [part.name for part in (folder / "out.rejects.csv").iterdir()] == ["part-00000.csv"]
    assert len(pd.read_parquet("out")) == result.counts.predicted > 0
    (folder / "out" / "notes.txt").touch()
    for output, message in (("out", "the folder has other files than parts"), ("file", "is a file. Expected a folder")):
        (folder / "file").touch()
        with pytest.raises(ConfigError, match=f"output={output}: {message}"):
            check_outputs(settings(output=output), folder / "model.onnx")
    with pytest.raises(ConfigError, match=r"output=out\.csv: is a folder\. Expected a file"):
        (folder / "out.csv").mkdir()
        check_outputs(settings(output="out.csv"), folder / "model.onnx")


def test_processes_give_the_rows_and_values_of_one(tmp_path: Path, table: pd.DataFrame, model: Path):
    path = tmp_path / "table.parquet"
    table.to_parquet(path)
    assert_same(model, path, 2, ".csv", run_in_processes)


def test_a_fault_of_the_table_is_reported_and_leaves_nothing(tmp_path: Path, table: pd.DataFrame, model: Path):
    path, out = tmp_path / "table.parquet", tmp_path / "out"
    predict = partial(predict_shards, settings_of(path, out / "o.csv", out / "r.csv", 2), model)
    table.drop(columns="macro_vix").to_parquet(path)
    with pytest.raises(DataError, match="macro_vix"):
        predict(in_turn)
    table.assign(macro_vix=table["date"]).to_parquet(path)
    with pytest.raises(DataError, match=r"table\.parquet: column macro_vix: holds timestamp"):
        predict(run_in_processes)
    assert not list(out.iterdir())


class KilledTask(ShardTask):
    """A shard whose process is killed."""

    def __call__(self) -> RowCounts:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


def kill_second(tasks: Sequence[ShardTask], advance: Advance) -> list[RowCounts]:
    """Run the tasks; the process of the second one is killed."""
    return run_in_processes([tasks[0], KilledTask(**vars(tasks[1])), *tasks[2:]], advance)


def test_a_lost_process_is_reported_and_leaves_nothing(tmp_path: Path, table: pd.DataFrame, model: Path):
    path, out = tmp_path / "table.parquet", tmp_path / "out"
    table.to_parquet(path)
    with pytest.raises(RunError, match=r"a worker process ended unexpectedly.*try fewer workers.*Nothing was written"):
        predict_shards(settings_of(path, out / "o.csv", out / "r.csv", 2), model, kill_second)
    assert not list(out.iterdir())


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["workers=0", "input=a.csv"], "workers=0: expected a whole number, 1 or more"),
        (["workers=2", "bars=a.csv"], "workers=2: expected input=FILE next to it"),
        (["cluster=ray", "bars=a.csv"], "cluster=ray: expected input=FILE next to it"),
        (["cluster=moon", "input=a.csv"], "cluster=moon: expected ray, or null"),
    ],
)
def test_settings_that_do_not_fit_are_refused(overrides: list[str], message: str):
    config = compose_command("predict", ["output=out.csv", *overrides])
    with pytest.raises(ConfigError, match=message):
        load_settings(PredictSettings, config)


@pytest.mark.parametrize(
    ("overrides", "in_parts", "ending", "rejects"),
    [
        (["output=a.csv.gz"], False, ".csv.gz", "a.rejects.csv"),
        (["output=a.csv", "workers=2"], True, ".csv", "a.rejects.csv"),
        (["output=folder/a"], True, ".parquet", "folder/a.rejects.csv"),
        (["output=a", "rejects=b.csv"], True, ".parquet", "b.csv"),
    ],
)
def test_several_workers_or_a_folder_give_parts(
    folder: Path, overrides: list[str], in_parts: bool, ending: str, rejects: str
):
    pd.DataFrame(columns=["date", "ticker"]).to_csv(folder / "a.csv", index=False)
    settings = load_settings(PredictSettings, compose_command("predict", ["input=a.csv", *overrides]))
    assert (settings.in_parts, settings.ending, settings.reject_path) == (in_parts, ending, rejects)


def test_without_ray_the_message_names_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(ConfigError, match=r"cluster=ray: Ray is not installed\. Type pip install 'ste\[ray\]'"):
        run_on_ray([], lambda done: None)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1:99999"])
def test_a_cluster_that_cannot_be_reached_is_reported_at_once(monkeypatch: pytest.MonkeyPatch, address: str):
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(ConfigError, match=f"RAY_ADDRESS={address}: no cluster is there.*workers run on this machine"):
        run_on_ray([], lambda done: None)


# Slow: Ray, an LSTM, stopped commands


@pytest.mark.slow
def test_ray_data_gives_the_rows_and_values_of_one(tmp_path: Path, table: pd.DataFrame, model: Path):
    """By the command: a process that has been part of a Ray cluster may end when the cluster does."""
    pytest.importorskip("ray")
    path = tmp_path / "table.parquet"
    table.to_parquet(path)
    command = ["ste.predict", f"model={model}", f"input={path}", "output=several.csv", "workers=2", "cluster=ray"]
    done = subprocess.run([sys.executable, "-m", *command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    predict_table(ServedModel(model), open_table(path), tmp_path / "one.csv", tmp_path / "one.rejects.csv")
    for kind, keys in (("csv", ["ticker", "date"]), ("rejects.csv", ["line"])):
        frames = [read_output(tmp_path / f"{count}.{kind}", keys) for count in ("several", "one")]
        pd.testing.assert_frame_equal(*frames, check_dtype=False)


@pytest.mark.slow
def test_an_lstm_predicts_the_same_values_in_any_batch(tmp_path: Path):
    """Shards form other batches: the last bit of a probability must not depend on them."""
    from benchmarks.prediction import random_blocks, run_command, write_table

    run_command(tmp_path, "train", "model=lstm", "data.tickers=4", "trainer.max_epochs=1", "scoring.resamples=200")
    run_command(tmp_path, "export", "run=latest", "output=model.onnx")
    path = tmp_path / "table.parquet"
    write_table(random_blocks(40_000, 101, "date"), path)
    assert_same(tmp_path / "model.onnx", path, 3, ".parquet")
    assert torch.get_num_threads() == 1


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_stopped_command_leaves_no_process_and_no_output(tmp_path: Path, model: Path, number: signal.Signals):
    from benchmarks.prediction import random_blocks, write_table

    path, out = tmp_path / "table.parquet", tmp_path / "out"
    write_table(random_blocks(2_000_000, 500, "date"), path)
    process = subprocess.Popen(
        [sys.executable, "-m", "ste.predict", f"model={model}", f"input={path}", f"output={out}/o.csv", "workers=2"],
        cwd=tmp_path,
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not list(out.glob(".o.csv.*/.part-00001.csv.*")):
        assert process.poll() is None
        time.sleep(0.05)
    if number == signal.SIGKILL:
        process.kill()
    else:
        os.killpg(process.pid, number)
    errors = process.communicate(timeout=60)[1]
    expected = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGKILL: -signal.SIGKILL}
    assert process.returncode == expected[number]
    assert "Traceback" not in errors
    wait_for_end(process.pid)
    assert not (out / "o.csv").exists()
    if number != signal.SIGKILL:
        assert not list(out.iterdir())


def wait_for_end(group: int) -> None:
    """Wait until no process of a group is left."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("a process was left")
