"""From a tracked run to one ONNX file: it predicts as the run did, is registered once, and is found by name."""

import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import numpy as np
import onnx
import pandas as pd
import pytest
from hydra.core.hydra_config import HydraConfig
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from omegaconf import OmegaConf

from feature_sets import FEATURES
from onnx_files import tiny_model
from runs import compose_values
from ste.config import ExportSettings, PathSettings, SyntheticSettings, TableSettings, TrackingSettings, TrainSettings
from ste.config.load import compose_command, load_settings
from ste.data.build.data_card import is_synthetic
from ste.data.build.prepare import prepare
from ste.data.storage.files import sha256
from ste.ensemble import ensemble_task
from ste.errors import ConfigError, RunError
from ste.evaluation.predictions import Predictions
from ste.experiment.artifacts import CHECKPOINT, PREDICTIONS
from ste.experiment.run import train
from ste.experiment.train_result import TrainResult
from ste.export import export_task
from ste.inference.export import exporter as exporting
from ste.inference.export import parity
from ste.inference.onnx_model import ServedModel
from ste.inference.reference import ReferenceDistributions
from ste.inference.registry.champion import Champion, pointer_path, read_champion, version_path, write_champion
from ste.inference.registry.lookup import find_model
from ste.inference.registry.publish import decide
from ste.inference.training_data import SAMPLE_ROWS, is_same_data
from ste.tracking.model_registry import find_champion
from ste.tracking.run_info import find_children
from ste.tracking.run_lookup import EXPORTED, download, find_run
from ste.tracking.store import create_store, open_store
from ste.tracking.tracked_run import tracked_run

WORLD = ["data.tickers=4", "data.start=2018-01-01", "data.end=2020-06-30", "data.batch_size=64"]
WORLD += ["data.split.validation_start=2019-07-01", "data.split.test_start=2020-01-01", "data.history=4"]
FAST = ["trainer.max_epochs=2", "trainer.threads=1", "trainer.enable_progress_bar=false", "scoring.resamples=100"]
MLP, GRU = ["model=mlp", "data.representation=standard"], ["model=gru", "model.hidden_size=8", "data.sequence_length=3"]
TRACKED = TrackingSettings(experiment=None)


class Place:
    """A folder with a store, and runs in it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.output, self.data = folder, folder / "outputs", folder / "data"
        self.paths = [f"paths.data={self.data}", f"paths.output={self.output}"]
        self.client: MlflowClient = create_store(TRACKED, self.output)
        self.tables: Path | None = None

    def fit(self, name: str, *overrides: str) -> str:
        values = compose_values(*WORLD, *FAST, *self.paths, *overrides)
        result = train(load_settings(TrainSettings, values), values, self.folder / name, name)
        assert isinstance(result, TrainResult)
        return str(result.run_id)

    def do(self, task: Any, name: str, *overrides: str) -> None:
        output = f"hydra.runtime.output_dir={self.folder / name}"
        config = compose_command(name, [*self.paths, output, *overrides], with_hydra=True)
        HydraConfig.instance().set_config(config)
        task(OmegaConf.masked_copy(config, [key for key in config if key != "hydra"]))

    def export(self, run: str, *overrides: str, output: str = "model.onnx") -> Path:
        path = self.folder / output
        self.do(export_task, "export", f"run={run}", f"output={path}", *overrides)
        return path

    def find(self, spec: str) -> Path:
        return find_model(spec, TRACKED, PathSettings(str(self.data), str(self.output)))

    def versions(self) -> list[Any]:
        found = self.client.search_model_versions("name = 'ste'")
        return sorted(found, key=lambda version: int(version.version))

    def windows(self, rows: pd.DataFrame, length: int | None) -> np.ndarray:
        """Raw features of examples that end at these dates and tickers, from the tables themselves."""
        files = [path for kind in ("training", "validation", "test") for path in self.data.glob(f"*/{kind}_data_*.csv")]
        table = pd.concat([pd.read_csv(path, parse_dates=["date"]) for path in files])
        by_ticker = {name: part.sort_values("date") for name, part in table.groupby("ticker")}
        out = []
        for row in rows.itertuples():
            own = by_ticker[row.ticker]
            known = own.loc[own["date"] <= row.date, list(FEATURES)].to_numpy(dtype=np.float32)
            out.append(known[-1] if length is None else known[-length:])
        return np.stack(out)

    def served_and_scored(
        self, run: str, path: Path, fold: int | None = None
    ) -> tuple[ServedModel, np.ndarray, np.ndarray]:
        """A served model, its predictions of the run's test rows, and those of the run when it was scored."""
        model = ServedModel(path)
        folder = self.folder / "downloads"
        folder.mkdir(exist_ok=True)
        predictions = Predictions.read(download(self.client, find_run(self.client, run), PREDICTIONS, folder))
        predictions = predictions.slice_split("test")
        if fold is not None:
            predictions = replace(predictions, frame=predictions.frame[predictions.frame["fold"] == fold])
        length = None if model.card.view == "flat" else model.card.sequence_length
        return model, model.probabilities(self.windows(predictions.frame, length)), predictions.probs


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("export"))


@pytest.fixture(scope="module")
def run(place: Place) -> str:
    return place.fit("mlp", *MLP)


@pytest.fixture(scope="module")
def file(place: Place, run: str) -> Path:
    """Exported by hand as champion."""
    return place.export(run, "promote=yes")


@pytest.fixture
def traced_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same run again gives the same graph, which is traced in one test and not in each."""
    proto = onnx.load_from_string(file.read_bytes())
    proto.ClearField("metadata_props")
    monkeypatch.setattr(exporting, "trace", lambda *arguments: proto)


def test_the_file_predicts_as_the_run_did(place: Place, run: str, file: Path):
    model, served, scored = place.served_and_scored(run, file)
    assert len(scored) > 50
    np.testing.assert_allclose(served, scored, atol=1e-6)
    card = model.card
    assert (card.name, card.run_id, card.view, card.sequence_length) == ("MLP", run, "flat", 1)
    assert card.features == list(FEATURES)
    assert card.classes == ["Downtrend", "Neutral", "Uptrend"]
    found = place.client.get_run(run)
    assert card.data_digest == found.data.tags["data.digest"]
    assert card.metrics["test"]["figures"]["log_loss"]["value"] == found.data.metrics["final_test/log_loss"]
    assert card.metrics["test"]["baselines"]["majority"]["accuracy"]["value"] == pytest.approx(
        found.data.metrics["final_test/majority_accuracy"]
    )
    assert card.verdict["word"] == found.data.tags["verdict"]
    note = found.data.tags["mlflow.note.content"]
    assert all(sentence in note for sentence in (card.verdict["headline"], *card.verdict["points"]))
    assert "torch" in card.versions
    # The last training label's week ends before validation begins on 2019-07-01.
    assert "2018-01" in card.trained_from
    assert card.trained_to == "2019-06-21"
    assert card.parity <= parity.TOLERANCE
    assert {"torch", "onnxruntime", "ste", "python"} <= set(card.versions)
    assert card.made_of == ""
    assert (card.data_source, card.synthetic, len(card.tickers or [])) == ("world", True, 4)
    sample = card.training_sample["rows"]
    assert len(sample) == SAMPLE_ROWS
    assert card.trained_from <= min(row[0] for row in sample)
    assert max(row[0] for row in sample) <= card.trained_to
    (path,) = place.data.glob("*/training_data_*.csv")
    table = pd.read_csv(path, parse_dates=["date"])
    assert is_same_data(card, table)
    assert not is_same_data(card, table.assign(stock_close=table["stock_close"] * 1.1))


def test_it_is_one_file_without_a_trace_of_the_machine(place: Place, file: Path):
    proto = onnx.load_from_string(file.read_bytes())
    assert [entry.key for entry in proto.metadata_props] == ["ste.card"]
    assert str(place.folder).encode() not in file.read_bytes()
    assert not list(file.parent.glob(f"{file.name}.*"))


def test_a_version_is_registered_once_with_all_that_names_it(place: Place, run: str, file: Path, capsys):
    (version,) = place.versions()
    assert (version.run_id, version.tags["sha256"], version.tags["model"]) == (run, sha256(file), "MLP")
    assert version.tags["verdict"] == place.client.get_run(run).data.tags["verdict"]
    again = place.export(run, output="again.onnx")
    assert again.read_bytes() == file.read_bytes()
    assert "Version 1 of ste has the same bytes already: no other was registered." in capsys.readouterr().out
    assert len(place.versions()) == 1
    assert find_champion(open_store(TRACKED, place.output), "ste").number == "1"
    cached = place.folder / "cached"
    cached.mkdir()
    assert download(place.client, find_run(place.client, run), EXPORTED, cached).read_bytes() == file.read_bytes()


def test_mlflow_itself_loads_the_champion(place: Place, run: str, file: Path):
    model = mlflow.pyfunc.load_model("models:/ste@champion")
    assert [tensor.name for tensor in model.metadata.signature.inputs] == ["features"]
    x = model.input_example["features"]
    assert x.shape == (2, len(FEATURES))
    np.testing.assert_array_equal(model.predict({"features": x})["probabilities"], ServedModel(file).probabilities(x))
    folder = Path(mlflow.artifacts.download_artifacts("models:/ste@champion", dst_path=str(place.folder / "mlflow")))
    assert (folder / "model.onnx").read_bytes() == file.read_bytes()
    assert not [path for path in folder.rglob("*") if path.suffix in (".pkl", ".pickle", ".pt", ".pth")]


@pytest.mark.parametrize("spec", ["RUN", "latest", "best", "champion", "models:/ste@champion", "models:/ste/1", "FILE"])
def test_a_model_is_found_by_every_name(place: Place, run: str, file: Path, spec: str):
    found = place.find({"RUN": run, "FILE": str(file)}.get(spec, spec))
    assert found.read_bytes() == file.read_bytes()
    assert place.find({"RUN": run, "FILE": str(file)}.get(spec, spec)) == found


def test_a_lost_file_of_a_version_is_downloaded_again_and_a_changed_one_replaced(place: Place, run: str, file: Path):
    cached = place.find("champion")
    cached.write_bytes(b"changed")
    assert place.find("models:/ste@champion").read_bytes() == file.read_bytes()
    cached.unlink()
    with pytest.raises(RunError, match=f"names ste-1.onnx, which is not there. Type python -m ste.export run={run}"):
        place.find("champion")
    assert place.find("models:/ste@champion") == cached
    assert place.find("champion") == cached


@pytest.mark.usefixtures("traced_once")
def test_an_alias_that_was_moved_elsewhere_is_followed_when_the_store_is_asked(
    place: Place, run: str, file: Path, monkeypatch: pytest.MonkeyPatch
):
    place.export(run, "name=moved", "promote=yes", output="first.onnx")
    monkeypatch.setattr(exporting, "reference_distributions", lambda *arguments: {"other": "bytes"})
    second = place.export(run, "name=moved", "promote=no", output="second.onnx")
    place.client.log_artifact(run, str(file), "served")  # as it was, for the other tests

    def known() -> bytes:
        _, path = read_champion(place.output, "moved") or (None, Path())
        return path.read_bytes()

    assert known() == file.read_bytes() != second.read_bytes()
    place.client.set_registered_model_alias("moved", "champion", "2")
    assert known() == file.read_bytes()  # the pointer was not updated
    assert place.find("models:/moved@champion").read_bytes() == second.read_bytes() == known()
    place.client.set_registered_model_alias("moved", "champion", "1")
    assert place.find("models:/moved@champion").read_bytes() == file.read_bytes() == known()
    place.client.set_registered_model_alias("moved", "champion", "2")
    place.export(run, "name=moved", "promote=no", output="second.onnx")  # an export that moves nothing looks too
    assert known() == second.read_bytes()


def test_a_run_that_was_never_exported_is_exported_when_it_is_asked_for(place: Place, file: Path):
    other = place.fit("other", *MLP, "seed=1")
    path = place.find(other)
    assert ServedModel(path).card.run_id == other
    assert len(place.versions()) == 1  # asking registers nothing
    before = path.stat().st_mtime_ns
    assert place.find(other).stat().st_mtime_ns == before


@pytest.mark.usefixtures("traced_once")
def test_what_to_type_next_is_printed_and_works(place: Place, run: str, file: Path, capsys):
    """Export a first run, ask for the champion, make it the champion as the message names it, and find it."""
    output = place.folder / "first.onnx"
    place.export(run, "name=first", output="first.onnx")
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    warning = "This model was trained on a synthetic market: its predictions say nothing about real stocks."
    assert warning in " ".join(printed.split())
    folders = f"paths.output={place.output} paths.data={place.data}"
    assert f"serve    python -m ste.serve model={output} {folders}" in lines
    (promote,) = [line.removeprefix("promote  ") for line in lines if line.startswith("promote  ")]
    assert promote == f"python -m ste.export run={run} output={output} name=first promote=yes {folders}"
    with pytest.raises(RunError) as raised:
        place.find("models:/first@champion")
    verdict = place.client.get_run(run).data.tags["verdict"]
    assert f"no version of first is the champion yet. Version 1 is the newest, with the verdict {verdict};" in str(
        raised.value
    )
    assert f"\n  python -m ste.export run={run} promote=yes name=first {folders}\n" in str(raised.value)
    place.do(export_task, "export", *shlex.split(promote)[3:-2])
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"serve    python -m ste.serve model=models:/first@champion {folders}"
    assert ServedModel(place.find("models:/first@champion")).card.run_id == run


def test_a_missing_model_is_reported_with_what_to_type(place: Place, run: str, file: Path, tmp_path: Path):
    for spec, message in (
        ("nothing.onnx", "model=nothing.onnx: there is no such file. Write one with python -m ste.export output="),
        ("nothing", "model=nothing: no such run. Expected an ID or its first 6 characters"),
        ("models:/ste@best", "models:/ste@best: no such version"),
        ("models:/ste/7", "models:/ste/7: no such version. .*Type python -m ste.export run=best"),
        (
            "models:/other@champion",
            "(?s)no model is registered as other yet. .*ste.export run=best promote=yes name=other",
        ),
        ("models:/ste", "Expected models:/NAME@ALIAS or models:/NAME/VERSION"),
    ):
        with pytest.raises(RunError, match=message):
            place.find(spec)
    with pytest.raises(
        RunError, match=r"model=champion: .* holds no runs yet. Train a model, .*:\n  python -m ste.train"
    ):
        find_model("champion", TRACKED, PathSettings(output=str(tmp_path)))


def test_a_file_and_the_champion_are_found_without_the_heavy_libraries(place: Place, file: Path):
    script = (
        "import sys\nfrom pathlib import Path\nfrom ste.inference.registry.lookup import find_model\n"
        "from ste.inference.onnx_model import ServedModel\nfrom ste.config import PathSettings, TrackingSettings\n"
        f"for spec in ({str(file)!r}, 'champion'):\n"
        f"    path = find_model(spec, TrackingSettings(), PathSettings(output={str(place.output)!r}))\n"
        "    print(ServedModel(path).card.name)\n"
        "print([name for name in ('torch', 'lightning', 'mlflow', 'hydra', 'pandas', 'onnx') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["MLP", "MLP", "[]"], done.stderr


# --- who is champion ---


def settings_of(promote: str = "auto") -> ExportSettings:
    return ExportSettings(TrackingSettings(), PathSettings(), promote=promote)


@pytest.mark.parametrize(
    ("promote", "verdict", "before", "moves", "words"),
    [
        ("auto", "better", None, True, "points at it now: the verdict is better"),
        ("auto", "better", "4", True, "points at it now, before at version 4"),
        ("auto", "better than guessing", "4", False, "stays at version 4: only a verdict of better"),
        ("auto", "not better", None, False, "points at nothing: only a verdict of better"),
        ("auto", "inconclusive", None, False, "points at nothing"),
        ("yes", "not better", "4", True, "points at it now, before at version 4: promote=yes"),
        ("no", "better", "4", False, "stays at version 4: promote=no"),
        ("auto", "not better", "5", True, "points at it already"),
    ],
)
def test_the_champion_moves_for_the_better_or_by_hand(
    promote: str, verdict: str, before: str | None, moves: bool, words: str
):
    version = SimpleNamespace(name="ste", number="5", run_id="r")
    champion = before and SimpleNamespace(name="ste", number=before, run_id="q")
    moved, why = decide(settings_of(promote), verdict, version, champion)
    assert moved == moves
    with pytest.raises(RunError, match=words):
        raise RunError(why)


def test_the_pointer_is_read_as_it_was_written(tmp_path: Path):
    assert read_champion(tmp_path) is None
    champion = Champion("ste", "3", "abc", "0" * 64, "ste-3.onnx")
    write_champion(tmp_path, champion)
    with pytest.raises(RunError, match=r"names ste-3.onnx, which is not there"):
        read_champion(tmp_path)
    tiny_model(version_path(tmp_path, "ste", "3"))
    assert read_champion(tmp_path) == (champion, version_path(tmp_path, "ste", "3"))
    before = pointer_path(tmp_path).stat().st_mtime_ns
    write_champion(tmp_path, champion)  # the same again: nobody who watches need look
    assert pointer_path(tmp_path).stat().st_mtime_ns == before
    write_champion(tmp_path, replace(champion, file="../../elsewhere/ste-3.onnx"))
    found = read_champion(tmp_path)
    assert found is not None
    assert found[1] == version_path(tmp_path, "ste", "3")  # never outside of the folder
    for text in ("", "[]", "{}", '{"name": "ste"}', "\xff"):
        pointer_path(tmp_path).write_text(text)
        with pytest.raises(RunError, match=r"ste.champion.json: cannot be read. Delete it"):
            read_champion(tmp_path)


# --- what cannot be exported ---


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("output=model.txt", "output=model.txt: expected a file whose name ends in .onnx. Try output=model.onnx"),
        ("promote=maybe", "promote=maybe: expected one of auto, yes, no"),
        ("name=a/b", "name=a/b: expected letters, digits"),
        ("register=maybe", "register=maybe: expected true or false"),
        ("+register=false promote=yes", "only a registered version can be champion"),
        ("output=nowhere/model.onnx", "there is no folder nowhere. Make it, or try output=model.onnx"),
        ("output=folder.onnx", "that is a folder. Expected a file"),
    ],
)
def test_a_wrong_setting_is_reported_before_anything_is_read(folder: Path, override: str, message: str):
    (folder / "folder.onnx").mkdir()
    config = compose_command("export", override.removeprefix("+").split())
    with pytest.raises(ConfigError, match=message):
        export_task(config)
    assert not (folder / "outputs").exists()


def test_a_missing_run_an_unfinished_one_and_one_without_files_are_reported(place: Place, run: str, tmp_path: Path):
    empty = Place(tmp_path)
    with pytest.raises(RunError, match=r"no finished run yet. Try python -m ste.train model=lstm first"):
        empty.export("best")
    with pytest.raises(ZeroDivisionError), tracked_run(TrackingSettings(), place.output, "failed", {}) as failed:
        raise ZeroDivisionError
    with pytest.raises(RunError, match=rf"run={failed.id}: it is FAILED. .*python -m ste.train resume={failed.id}"):
        place.export(failed.id)
    lost = place.fit("lost", *MLP, "seed=2")
    cached = Path(place.client.get_run(lost).info.artifact_uri.removeprefix("file://")) / "checkpoints"
    (cached / "best.ckpt").write_bytes((cached / "best.ckpt").read_bytes()[:1000])
    with pytest.raises(RunError, match=r"best.ckpt of MLP cannot be read \(.*Train again"):
        place.export(lost)
    shutil.rmtree(cached)
    with pytest.raises(RunError, match=f"run {lost} is FINISHED and has no {CHECKPOINT}"):
        place.export(lost)
    assert not (place.folder / "lost.onnx").exists()
    place.client.delete_run(lost)


def test_other_data_than_it_was_trained_on_is_refused(place: Place, run: str, monkeypatch):
    found = find_run(place.client, run)
    found.tags["data.digest"] = "something else"
    monkeypatch.setattr("ste.tracking.run_lookup.find_run", lambda *arguments, **named: found)
    with pytest.raises(RunError, match=r"the tables have digest \w+, the run was trained on something else"):
        place.export(run, output="other.onnx")
    assert not (place.folder / "other.onnx").exists()


@pytest.mark.usefixtures("traced_once")
def test_a_file_that_would_say_something_else_is_not_written(place: Place, run: str, monkeypatch):
    monkeypatch.setattr(parity, "TOLERANCE", -1.0)
    with pytest.raises(RunError, match=f"run={run}: the ONNX file's probabilities differ from PyTorch's by up to"):
        place.export(run, output="off.onnx")
    assert not (place.folder / "off.onnx").exists()


@pytest.mark.usefixtures("traced_once")
def test_a_store_that_refuses_leaves_the_file_and_is_reported(place: Place, run: str, file: Path, monkeypatch):
    def full(*arguments: Any, **named: Any) -> None:
        raise MlflowException("disk I/O error")

    monkeypatch.setattr(MlflowClient, "search_model_versions", full)
    with pytest.raises(RunError, match=r"name=ste: the file is written, but the store refuses .*disk I/O error"):
        place.export(run, output="model2.onnx")
    assert (place.folder / "model2.onnx").read_bytes() == file.read_bytes()


@pytest.mark.usefixtures("traced_once")
def test_without_registration_nothing_is_tracked(place: Place, run: str, file: Path, capsys):
    before = {entry.path for entry in place.client.list_artifacts(run)}
    path = place.export(run, "register=false", "name=unseen", output="alone.onnx")
    assert path.read_bytes() == file.read_bytes()
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2] == "Not registered: register=false."
    assert lines[-1].startswith(f"serve    python -m ste.serve model={path} paths.output=")
    assert {entry.path for entry in place.client.list_artifacts(run)} == before
    assert not place.client.search_registered_models("name = 'unseen'")


# --- every kind of run ---


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "name", "shape", "made_of"),
    [
        (
            [*MLP, "train.replicas=3", "train.weighting=validation"],
            "MLP",
            (21,),
            "3 replicas of seeds 0 to 2, the mean of their probabilities, weighted",
        ),
        ([*GRU, "train.replicas=2"], "SimpleGRU", (3, 21), "2 replicas of seeds 0 to 1"),
        (["model=gbm"], "GradientBoosting", (4, 21), ""),
        (["model=logistic"], "Logistic", (4, 21), ""),
        (["model=majority"], "Majority", (4, 21), ""),
        ([*GRU, "data.labels.classes=2"], "SimpleGRU", (3, 21), ""),
    ],
)
def test_every_kind_of_run_is_served_as_it_was_scored(
    tmp_path: Path, overrides: list[str], name: str, shape: tuple[int, ...], made_of: str
):
    place = Place(tmp_path)
    run = place.fit("run", *overrides)
    model, served, scored = place.served_and_scored(run, place.export(run))
    np.testing.assert_allclose(served, scored, atol=1e-6)
    assert (model.card.name, model.card.shape) == (name, shape)
    assert made_of in model.card.made_of


@pytest.mark.parametrize("more", [[], ["train.replicas=2"]])
def test_a_calibrated_net_is_served_as_it_was_scored(place: Place, more: list[str]):
    run = place.fit("calibrated", *MLP, *more, "calibration=temperature")
    model, served, scored = place.served_and_scored(run, place.export(run, output="calibrated.onnx"))
    np.testing.assert_allclose(served, scored, atol=1e-6)
    plain = place.fit("plain", *MLP, *more, "calibration=none")
    uncalibrated = Predictions.read(download(place.client, find_run(place.client, plain), PREDICTIONS, place.folder))
    uncalibrated = uncalibrated.slice_split("test")
    assert np.abs(served - uncalibrated.probs).max() > 1e-3
    assert re.fullmatch(r"temperature [\d.]+, log-loss on validation .* \(cross-fitted\)", model.card.calibration)
    assert f"Calibrated on validation: {model.card.calibration}." in model.card.verdict["details"]
    tracked = mlflow.pyfunc.load_model(f"runs:/{run}/model")
    np.testing.assert_allclose(tracked.predict(place.windows(uncalibrated.frame, None)), scored, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["walk_forward", "combinatorial"])
def test_of_folds_the_last_ones_model_is_served(tmp_path: Path, method: str):
    place = Place(tmp_path)
    run = place.fit("run", *MLP, f"validation={method}", "validation.folds=3")
    last = max(find_children(place.client, run))
    model, served, scored = place.served_and_scored(run, place.export(run), last)
    np.testing.assert_allclose(served, scored, atol=1e-6)
    assert model.card.made_of == f"the model of fold {last + 1}, the last"
    assert model.card.trained_from >= "2018-01-01"
    place.client.delete_run(find_children(place.client, run)[last].id)
    with pytest.raises(RunError, match=r"its last fold was deleted together with its model. Train again"):
        place.export(run, output="again.onnx")


@pytest.mark.slow
def test_an_ensemble_is_one_graph_of_members_with_windows_of_their_own(tmp_path: Path):
    place = Place(tmp_path)
    runs = [place.fit("gru", *GRU), place.fit("mlp", *MLP), place.fit("gbm", "model=gbm")]
    for method in ("validation", "stacked"):
        check_ensemble(place, runs, method)


def check_ensemble(place: Place, runs: list[str], method: str) -> None:
    """Combine runs, export the ensemble and compare its predictions with those that were scored."""
    place.do(ensemble_task, "ensemble", f"runs=[{','.join(runs)}]", f"method={method}")
    made = find_run(place.client, "latest").id
    model, served, scored = place.served_and_scored(made, place.export(made))
    np.testing.assert_allclose(served, scored, atol=1e-6)
    assert (model.card.name, model.card.shape) == ("Ensemble", (4, 21))
    word = "exponents" if method == "stacked" else "weights"
    assert model.card.made_of.startswith(f"{method} of 3 members, {word}: ")
    assert all(title in model.card.made_of for title in (f"SimpleGRU {runs[0][:6]}", f"MLP {runs[1][:6]}"))


@pytest.mark.slow
def test_an_ensemble_in_folds_serves_the_last_folds_models_and_weights(tmp_path: Path):
    place = Place(tmp_path)
    walk = ["validation=walk_forward", "validation.folds=2", "validation.fraction=0.3"]
    runs = [place.fit("gru", *GRU, *walk), place.fit("mlp", *MLP, *walk)]
    place.do(ensemble_task, "ensemble", f"runs=[{','.join(runs)}]", "method=validation")
    made = find_run(place.client, "latest").id
    model, served, scored = place.served_and_scored(made, place.export(made), 1)
    np.testing.assert_allclose(served, scored, atol=1e-6)
    assert model.card.made_of.endswith(", the models of fold 2, the last")


@pytest.mark.slow
@pytest.mark.parametrize("model", ["persistence", "volatility"])
def test_a_baseline_that_needs_more_than_a_window_is_refused(tmp_path: Path, model: str):
    place = Place(tmp_path)
    run = place.fit("run", f"model={model}")
    with pytest.raises(RunError, match="cannot be exported: it re"):
        place.export(run)
    assert not (tmp_path / "model.onnx").exists()


@pytest.mark.usefixtures("traced_once")
def test_the_card_carries_what_drift_is_measured_from(place: Place, file: Path):
    card = ServedModel(file).card
    reference = ReferenceDistributions.from_dict(card.reference)
    assert (reference.features, reference.classes) == (tuple(card.features), tuple(card.classes))
    assert not reference.windowed
    trained = card.metrics["train"]["examples"]
    held_out = sum(card.metrics[split]["examples"] for split in ("validation", "test"))
    assert [sum(column.counts) for column in reference.columns] == [trained] * len(card.features) + [held_out] * 4
    assert reference.periods[0] == card.metrics["train"]["periods"]
    assert sum(reference.class_fractions) == pytest.approx(1.0)
    test = card.metrics["test"]
    assert test["auto_blocks"]["accuracy"]["value"] == test["figures"]["accuracy"]["value"]
    assert "cuts" not in card.labels


@pytest.mark.parametrize("format", ["csv", "parts"])
def test_generated_tables_are_recognized_where_they_are_read_as_files(tmp_path: Path, format: str):
    settings = SyntheticSettings(source="world", tickers=3, start="2018-01-01", end="2020-06-30", format=format)
    files = prepare(settings, tmp_path / "built").files
    shutil.copytree(files["train"].parent, tmp_path / "moved")
    for card in (tmp_path / "moved").glob("data_card_*.json"):
        card.unlink()
    moved = {split: tmp_path / "moved" / path.name for split, path in files.items()}
    for paths, synthetic in ((files, True), (moved, False)):
        own = TableSettings(source="csv", **{split: str(path) for split, path in paths.items()})
        assert is_synthetic(prepare(own, tmp_path / "own").card) == synthetic


def test_thirds_that_training_decided_are_in_the_card(place: Place):
    path = place.export(place.fit("terciles", *MLP, "labels=terciles"), "register=false", output="thirds.onnx")
    low, high = ServedModel(path).card.labels["cuts"]
    assert -0.05 < low < high < 0.05
    assert ServedModel(path).card.metrics["train"]["examples"] > 0
