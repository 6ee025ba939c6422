"""A run on tables in parts is the run on the same tables in single files."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from runs import evaluate
from ste.config import DataSettings, TrainSettings
from ste.data.build.data_card import PreparedData
from ste.data.build.prepare import prepare
from ste.data.datamodule import TrendDataModule
from ste.data.panel import Panel
from ste.data.storage import parquet_shards as parts
from ste.errors import DataError
from ste.experiment.run import train
from ste.leakage.suite import audit

Small = Callable[..., tuple[TrainSettings, dict[str, Any]]]
CLOSE = 1e-6  # single precision in the volatilities that a mapped table keeps


def panels(small: Small, *overrides: str) -> tuple[Panel, Panel]:
    """Of the same tables in single files and in parts."""
    found = []
    for form in ("parquet", "parts"):
        settings, _ = small(*overrides, f"data.format={form}")
        found.append(Panel.read(prepare(settings.data, Path(settings.paths.data)), settings.data))
    return found[0], found[1]


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("data.labels.classes=2",),
        ("data.frequency=daily", "features=prices11", "data.representation=standard", "data.labels.horizon=3"),
    ],
)
def test_parts_hold_what_single_files_hold(small: Small, overrides: tuple[str, ...]) -> None:
    files, mapped = panels(small, *overrides)
    assert len(mapped.store) == len(files.store) > 500
    assert mapped.prepared.files["train"].is_dir()
    assert torch.equal(mapped.store.features, files.store.features)
    for name in ("label", "history"):
        assert getattr(mapped.store, name).tolist() == getattr(files.store, name).tolist()
    assert mapped.row_split.tolist() == files.row_split.tolist()
    ours, theirs = (TrendDataModule(panel, "sequence", seed=3) for panel in (mapped, files))
    assert ours.class_counts().tolist() == theirs.class_counts().tolist()
    batch, same = (next(iter(data.train_dataloader())) for data in (ours, theirs))
    assert all(torch.equal(one, other) for one, other in zip(batch[:2], same[:2], strict=True))
    for split in theirs.datasets:
        assert (ours.datasets[split].dates == theirs.datasets[split].dates).all()
        assert (ours.datasets[split].tickers == theirs.datasets[split].tickers).all()
        assert (ours.datasets[split].returns == theirs.datasets[split].returns).all()
        assert list(mapped.first_rows(split)) == list(files.first_rows(split))
        if files.truth is not None:
            np.testing.assert_array_equal(ours.truth(split), theirs.truth(split))
    assert (files.truth is None) == (mapped.truth is None) == (overrides[:1] == ("data.frequency=daily",))
    rows = np.arange(len(files.store))
    np.testing.assert_allclose(
        mapped.store.columns.volatility(rows), files.store.columns.volatility(rows), rtol=CLOSE, atol=CLOSE
    )


def test_a_run_says_the_same_and_repeats(small: Small, folder: Path) -> None:
    settings, values = small("model=lstm", "trainer.max_epochs=1", "tracking=off", "data.format=parts")
    result = train(settings, values, folder / "parts", "test")
    theirs, values = small("model=lstm", "trainer.max_epochs=1", "tracking=off", "data.format=parquet")
    other = train(theirs, values, folder / "files", "test")
    assert result is not None
    assert other is not None
    own = [name for name in result.predictions.frame if not str(name).startswith("volatility.")]
    pd.testing.assert_frame_equal(result.predictions.frame[own], other.predictions.frame[own], check_exact=True)
    rest = [name for name in result.predictions.frame if name not in own]
    pd.testing.assert_frame_equal(result.predictions.frame[rest], other.predictions.frame[rest], rtol=1e-3)
    _, again = evaluate(settings, [result.last.checkpoint])
    pd.testing.assert_frame_equal(again.frame, result.predictions.frame, check_exact=True)


def read(prepared: PreparedData, settings: DataSettings) -> Panel:
    """Read again, as another process would."""
    from ste.data import panel

    panel._read_store.cache_clear()
    return Panel.read(prepared, settings)


def test_arrays_are_made_again_where_they_are_gone_or_of_other_tables(small: Small) -> None:
    settings, _ = small("data.format=parts")
    prepared = prepare(settings.data, Path(settings.paths.data))
    features = read(prepared, settings.data).store.features.clone()
    folder = prepared.tensors
    assert folder is not None
    content = {path.name: path.read_bytes() for path in folder.iterdir()}
    shutil.rmtree(folder)
    assert torch.equal(read(prepared, settings.data).store.features, features)
    index = json.loads(content["tensors.json"])
    (folder / "tensors.json").write_text(json.dumps(index | {"digest": "another"}))
    (folder / "features.f4").write_bytes(bytes(len(content["features.f4"])))
    assert torch.equal(read(prepared, settings.data).store.features, features)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == content


def test_what_parts_cannot_do_is_told(small: Small, folder: Path) -> None:
    settings, _ = small("data.format=parts")
    with pytest.raises(DataError, match=r"an audit holds the complete table .* Try .* data.format=parquet"):
        audit(settings.data, folder)
    prepared = prepare(settings.data, Path(settings.paths.data))
    given = of_folders(small, prepared.files)
    with pytest.raises(DataError, match=r"^data.train=.*: is a folder of parts, and an audit holds the complete table"):
        audit(given.data, folder)
    part = parts.part_files(prepared.files["train"])[0]
    part.write_bytes(b"none")
    with pytest.raises(DataError, match="was changed since it was built"):
        prepare(settings.data, Path(settings.paths.data))


@pytest.fixture
def ready(small: Small) -> dict[str, Path]:
    """Folders of parts that somebody gives, split by split."""
    settings, _ = small("data.format=parts")
    return prepare(settings.data, Path(settings.paths.data)).files


def of_folders(small: Small, folders: dict[str, Path], *overrides: str) -> TrainSettings:
    return small("data=csv", *(f"data.{split}={path}" for split, path in folders.items()), *overrides, world=False)[0]


def test_table_files_may_be_folders_of_parts(small: Small, ready: dict[str, Path], folder: Path) -> None:
    files, _ = panels(small)
    settings = of_folders(small, ready)
    root = Path(settings.paths.data)
    prepared = prepare(settings.data, root)
    mapped = Panel.read(prepared, settings.data)
    assert torch.equal(mapped.store.features, files.store.features)
    assert mapped.row_split.tolist() == files.row_split.tolist()
    for split, entry in files.prepared.card["files"].items():
        for name in ("rows", "purged", "first", "last", "periods", "tickers", "classes"):
            assert prepared.card["files"][split][name] == entry[name]
    again = prepare(settings.data, root)
    assert (prepared.reused, again.reused) == (False, True)
    assert again.card == prepared.card


def changed(folder: Path, change: Callable[[pd.DataFrame], None]) -> None:
    """Rows of the first part, in as many row groups as before."""
    path = parts.part_files(folder)[0]
    frame = pd.read_parquet(path)
    change(frame)
    frame.to_parquet(path, index=False)


def at(row: int, column: str, value: Any) -> Callable[[pd.DataFrame], None]:
    def change(frame: pd.DataFrame) -> None:
        frame.loc[row, column] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            at(3, "stock_rsi", 101.0),
            r"training_data.*column stock_rsi of .* found 101; expected a number from 0 to 100",
        ),
        (at(3, "stock_close", np.nan), r"column stock_close of .* found nan; expected a price above 0"),
        (
            at(3, "stock_trend_direction", 7),
            r"column stock_trend_direction of .* expected 0 .Downtrend., 1 .Neutral. or 2",
        ),
        (at(3, "stock_weekly_movement", 1e6), r"column stock_weekly_movement of .* expected stock_weekly_return x"),
        (
            at(3, "date", pd.Timestamp("2018-01-26 09:30")),
            r"column date of .* expected a day such as 2024-11-29, without a time",
        ),
        (lambda frame: frame.drop(columns="stock_rsi", inplace=True), r"missing column stock_rsi"),
        (lambda frame: frame.__setitem__("stock_trend_direction", 2 - frame["stock_trend_direction"]), "contradicts"),
    ],
)
def test_a_ready_part_that_breaks_the_contract_is_told(
    small: Small, ready: dict[str, Path], change: Callable[[pd.DataFrame], None], message: str
) -> None:
    changed(ready["train"], change)
    settings = of_folders(small, ready)
    root = Path(settings.paths.data)
    with pytest.raises(DataError, match=message):
        prepare(settings.data, root)
    assert not list(root.glob("tables-*/tensors*"))


def test_ready_parts_in_a_wrong_order_or_of_another_horizon_are_told(small: Small, ready: dict[str, Path]) -> None:
    settings = of_folders(small, {**ready, "validation": ready["test"], "test": ready["validation"]})
    with pytest.raises(
        DataError, match=r"starts on .*, but .* reaches to .*Expected train, validation and test in date"
    ):
        prepare(settings.data, Path(settings.paths.data))
    settings = of_folders(small, ready, "data.labels.horizon=2")
    with pytest.raises(DataError, match=r"data.labels.horizon=2: .* Try data.labels.horizon=1"):
        prepare(settings.data, Path(settings.paths.data))
    (ready["train"].parent / "one.csv").write_text(",".join(parts.first_rows(ready["test"], 1)) + "\n")
    settings = of_folders(small, {**ready, "test": ready["train"].parent / "one.csv"})
    with pytest.raises(DataError, match=r"^data.test=.*one.csv: is a file, and data.train a folder of parts"):
        prepare(settings.data, Path(settings.paths.data))
