"""The commands as a user types them, each in a folder of its own."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import pytest
import torch

from feature_sets import COLUMNS
from ste import reproduce
from ste.errors import ConfigError

COMMANDS = (
    "train",
    "generate",
    "evaluate",
    "reproduce",
    "ui",
    "audit",
    "compare",
    "ensemble",
    "report",
    "export",
    "predict",
    "monitor",
    "serve",
    "live",
    "judge",
)
HEAVY = (
    *("torch", "lightning", "mlflow", "pandas", "matplotlib", "sklearn", "optuna", "plotly"),
    *("numpy", "scipy", "sqlalchemy", "pyarrow"),
)
MISTAKE = "paths.outptu=here"
NO_STORE = "outputs/mlflow.db: there is no store of runs yet. Try python -m ste.train model=lstm first."
UNUSED = ("hypothesis", "optuna", "plotly", "lightgbm", "onnx", "onnxruntime", "captum", "skfolio", "arch")
"""What a training of a net on tables that keep their contract has no use for."""


def ste(folder: Path, command: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", f"ste.{command}", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "120", **environment},
        check=False,
    )


MAIN = """
import contextlib, importlib, io, json, runpy, sys
answers, hosts = {}, []

def note_host(event, arguments):
    if event in ("socket.getaddrinfo", "socket.connect"):
        hosts.append(str(arguments))

sys.addaudithook(note_host)
for command, argument in json.loads(sys.argv[1]):
    sys.argv = ["ste", *argument]
    code, output = 0, io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        try:
            runpy.run_module(f"ste.{command}", run_name="__main__", alter_sys=True)
        except SystemExit as stop:
            code = stop.code or 0
    imported = [name for name in json.loads(%r) if name in sys.modules]
    answers[" ".join([command, *argument])] = code, output.getvalue(), imported
print("ANSWERS", json.dumps([answers, hosts]))
"""


def run_in_one_process(
    folder: Path, commands: list[tuple[str, list[str]]], libraries: tuple[str, ...]
) -> tuple[dict[str, tuple[int, str, list[str]]], list[str]]:
    """Exit code and output of each command, those of the libraries that are imported after it, and hosts asked for."""
    tests = ("CI", "DO_NOT_TRACK", "MLFLOW_", "PYTEST_", "GITHUB_", "TF_BUILD", "BUILD_")  # tell MLflow of a test
    environment = {name: value for name, value in os.environ.items() if not name.startswith(tests)}
    script = [sys.executable, "-c", MAIN % json.dumps(libraries), json.dumps(commands)]
    done = subprocess.run(script, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answers, hosts = json.loads(done.stdout.rpartition("ANSWERS ")[2])
    return answers, hosts


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str, list[str]]]:
    """Every command's help, configuration and answer to a mistake."""
    asked = [(command, [argument]) for command in COMMANDS for argument in ("--help", "--cfg=job", MISTAKE)]
    return run_in_one_process(tmp_path_factory.mktemp("answers"), asked, HEAVY)[0]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("flag", ["--help", "--cfg=job"])
def test_help_and_configuration_answer_without_the_heavy_libraries(answers, command: str, flag: str):
    code, output, imported = answers[f"{command} {flag}"]
    assert code == 0, output
    assert imported == []
    assert "paths:" in output
    if flag == "--help":
        assert f"python -m ste.{command}" in output


@pytest.mark.parametrize("command", COMMANDS)
def test_a_mistake_is_reported_without_the_heavy_libraries(answers, command: str):
    code, output, imported = answers[f"{command} {MISTAKE}"]
    assert code == 2, output
    assert imported == []
    assert "Did you mean paths.output" in output


def test_the_help_names_every_choice_of_every_group(answers):
    _, output, _ = answers["train --help"]
    for group in ("model", "data", "optimizer", "trainer", "validation", "experiment"):
        names = sorted(path.stem for path in (Path(__file__).parents[1] / "conf" / group).glob("*.yaml"))
        assert names
        assert f"{group}: {', '.join(names)} " in " ".join(output.split())


def test_a_training_loads_nothing_that_it_does_not_use_and_contacts_no_host(tmp_path: Path):
    command = ("train", ["experiment=seed_lstm", "trainer.max_epochs=1"])
    answers, hosts = run_in_one_process(tmp_path, [command], UNUSED)
    [(code, output, imported)] = answers.values()
    assert code == 0, output
    assert "python -m ste.report run=" in output
    assert imported == []
    assert hosts == []
    assert (tmp_path / "outputs" / "mlflow.db").is_file()


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [
        ("train", ["model=lstmm"], "model=lstmm: no such choice. Did you mean model=lstm or model=alstm?"),
        ("train", ["modle=lstm"], "modle: no such setting. Did you mean model"),
        ("train", ["model.hiden_size=32"], "Did you mean model.hidden_size"),
        ("train", ["data.labels.treshold=0.1"], "Did you mean data.labels.threshold"),
        ("train", ["experiment=seed_lst"], "Did you mean experiment=seed_lstm"),
        ("train", ["oops"], "oops: not an override. Expected key=value"),
        ("train", ["=3"], "no setting before the ="),
        ("train", ["+extra=1"], "extra: no such setting"),
        ("train", ["data=market"], "data.bars=: expected a file of daily bars. Try data.bars=bars.csv"),
        ("train", ["data=market", "data.bars=bras.csv"], "data.bars=bras.csv: no such file. In .: bars.csv"),
        ("train", ["data=csv", "data.train=t.csv", "data.validation=t.csv"], "Is stock_opne meant as stock_open?"),
        ("train", ["data=csv", "data.train=empty.csv", "data.validation=t.csv"], "the file is empty"),
        ("train", ["-m", "model=lstm,dual_towr"], "Did you mean model=dual_tower?"),
        ("train", ["model=logistik"], "model=logistik: no such choice. Did you mean model=logistic?"),
        ("train", ["model=gbm", "model.tress=5"], "Did you mean model.trees"),
        ("train", ["validation=walk_foward"], "Did you mean validation=walk_forward?"),
        ("generate", ["data.tikers=3"], "Did you mean data.tickers"),
        ("evaluate", ["split=tset"], "split=tset: expected one of train, validation, test, all"),
        ("ui", ["port=abc"], "port=abc: expected a whole number, 1 or more, 65535 or less. Try port=5000"),
        ("ui", ["model=lstm"], "model: no such setting"),
        ("train", ["sweep=lstm"], "that is a search of many runs. Try python -m ste.train -m sweep=lstm"),
        ("train", ["-m", "sweep=lstmm"], "sweep=lstmm: no such choice. Did you mean sweep=lstm"),
        ("train", ["-m", "sweep=lstm,gru"], "a sweep has one sweep. Give it one value"),
        (
            "train",
            ["-m", "optimizer.lr=interval(0.1,1)"],
            "a grid tries every value, and an interval has infinitely many",
        ),
        ("train", ["-m", "optimizer.lr=0,-1"], "optimizer.lr=0: expected a finite number above 0"),
        ("train", ["-m", "sweep=lstm", "sweep.trials=0"], "sweep.trials=0: expected a whole number, 1 or more"),
        ("train", ["-m", "hydra/sweeper=ste_optuna", "seed=1"], "nothing to search: choose sweep=lstm"),
        ("train", ["paths.output=t.csv"], "cannot be written"),
        ("train", ["resume=abc", "seed=3"], "uses the settings of that run, which seed=3 would change"),
        ("train", ["data=csv", "data.train=rows.csv", "data.validation=rows.csv"], "rows.csv"),
        ("train", ["resume=abc"], NO_STORE),
        ("compare", [], NO_STORE),
        ("report", [], NO_STORE),
        ("evaluate", [], NO_STORE),
        ("ensemble", [], NO_STORE),
        ("export", [], NO_STORE),
        ("ui", [], NO_STORE),
        ("ui", ["tracking.uri=sqlite:///other.db"], "other.db: there is no store of runs yet"),
        ("predict", ["model=latest", "input=rows.csv", "output=p.csv"], "outputs holds no runs yet"),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_2(
    folder: Path, call: Callable, command: str, arguments: list[str], message: str
):
    (folder / "bars.csv").write_text("ticker,date\n")
    (folder / "t.csv").write_text("date,ticker,stock_opne\n2024-11-01,A,1\n")
    (folder / "empty.csv").touch()
    (folder / "rows.csv").write_text(f"date,ticker,{','.join(COLUMNS)}\n")
    before = sorted(folder.rglob("*"))
    code, output, errors = call(command, *arguments)
    assert code == 2, output + errors
    assert message in errors
    assert "Traceback" not in errors + output
    steps, _, mistake = errors.partition("error: ")
    assert mistake
    assert all(line.startswith(("loading ", "building ")) for line in steps.splitlines())
    assert sorted(folder.rglob("*")) == before  # no store, no run folder


def test_a_mistake_ends_the_process_with_exit_code_2(tmp_path: Path):
    done = ste(tmp_path, "train", "model=lstmm")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: model=lstmm: no such choice.")
    assert len(done.stderr.strip().splitlines()) == 1


def test_the_debug_switch_shows_the_traceback(call: Callable, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("STE_DEBUG", "1")
    with pytest.raises(ConfigError, match=r"data\.signal=9"):  # Python prints it with its traceback
        call("train", "data.signal=9")


def test_a_newcomer_generates_trains_and_evaluates(folder: Path, call: Callable):
    code, _, errors = call("generate")
    assert code == 0, errors
    names = {path.name for path in (folder / "data_output").iterdir()} - {".lock"}
    period = "20241101-20241130"
    assert names == {
        f"training_data_{period}.csv",
        f"validation_data_{period}.csv",
        f"truth_{period}.csv",
        f"trading_{period}.csv",
        f"data_card_{period}.json",
    }
    code, output, errors = call("train", "model=dual_tower", "data=seed", "trainer.max_epochs=2")
    assert code == 0, errors
    for word in (
        "majority",
        "persistence",
        "volatility",
        "linear",
        "Bayes",
        "2 weeks are too few",
        "run  ",
        "files",
        "ste.ui",
    ):
        assert word in output, word
    steps = ("loading torch, Lightning and MLflow", "training", "scoring the predictions", "saving the run")
    assert [line for line in errors.splitlines() if line in steps] == list(steps)
    (summary,) = (folder / "outputs" / "runs" / "train").glob("*/summary.json")
    run_id = json.loads(summary.read_text())["run_id"]
    code, output, errors = call("evaluate", f"run={run_id}", "split=validation")
    assert code == 0, errors
    assert "the same figures as tracked, to the last digit" in output


def test_a_sweep_continues_after_a_mistake_and_reports_it_at_the_end(folder: Path, call: Callable):
    fast = ["data=seed", "trainer.max_epochs=1", "trainer.threads=1"]
    code, _, errors = call("train", "-m", *fast, "model=dual_tower", "optimizer.lr=0,0.01")
    assert code == 2
    assert "error in job 0" in errors
    summaries = sorted((folder / "outputs" / "sweeps").rglob("summary.json"))
    assert [path.parent.name for path in summaries] == ["1"]
    assert errors.strip().splitlines()[-1].startswith("error: at least one job of the sweep failed")


@pytest.fixture(scope="module")
def reproduction(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("reproduction")
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as printed:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["ste.reproduce"])
        reproduce.main()
    return folder, printed.getvalue()


def test_the_seed_document_is_reproduced(reproduction: tuple[Path, str]):
    folder, printed = reproduction
    summary = json.loads((folder / "outputs/reproduction/training_summary.json").read_text())
    assert summary["data"] == {"train": 23, "validation": 12}
    assert summary["models"]["lstm"]["parameters"] == 57_731
    assert summary["models"]["dual_tower"]["parameters"] == 2_371
    assert summary["models"]["dual_tower"]["arguments"]["stock_size"] == 8
    for model in summary["models"].values():
        assert model["scores"]["validation"]["examples"] == 12
        right = model["metrics"]["validation"]["accuracy"] * 12
        assert right == pytest.approx(round(right), abs=1e-5)
    assert printed.count("14 KB") == 2  # the document's and ours
    for text in ("57,731", "2,371", "230 KB", "33.33%", "25.00%", "95 % exact", "do not distinguish"):
        assert text in printed


def test_the_documents_usage_examples_work_on_the_reproduced_files(reproduction: tuple[Path, str]):
    folder, _ = reproduction
    from ste.models.dual_tower import DualTowerModel
    from ste.models.lstm import SimpleLSTM

    lstm = SimpleLSTM(input_size=21, hidden_size=64, num_layers=2, num_classes=3)
    lstm.load_state_dict(torch.load(folder / "outputs/reproduction/lstm_best.pth"))
    lstm.eval()
    with torch.no_grad():
        assert lstm(torch.randn(5, 3, 21)).shape == (5, 3)

    tower = DualTowerModel(input_size=21, tower_hidden_size=32, hidden_size=16, num_classes=3)
    tower.load_state_dict(torch.load(folder / "outputs/reproduction/dual_tower_best.pth"))
    tower.eval()
    with torch.no_grad():
        assert tower(torch.randn(5, 21)).shape == (5, 3)
