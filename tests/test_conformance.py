"""`ste.new` and `ste.check`: templates that work, and faults of a component that are found."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Call
from plugin_files import LOSS, METRIC, NET, forgotten_plugins
from ste.conformance.suite import SUITES, run_checks
from ste.conformance.templates.scaffold import template_kinds
from ste.plugins import load_plugin

LINES = 80


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    with forgotten_plugins():
        yield


@pytest.mark.parametrize("kind", [kind for kind in template_kinds() if kind != "callback"])
def test_a_new_component_passes_its_checks(call: Call, folder: Path, kind: str):
    code, out, err = call("new", kind, f"user_{kind}")
    assert code == 0, err
    assert f"wrote  user_{kind}.py\n" in out
    assert f"python -m ste.check user_{kind}\n" in out
    assert not (folder / "outputs").exists()
    assert "# next" not in (folder / f"user_{kind}.py").read_text()
    code, out, err = call("check", f"user_{kind}")
    assert code == 0, out + err
    assert "0 failed" in out
    assert max(map(len, out.splitlines())) <= LINES
    code, _, err = call("new", kind, f"user_{kind}")
    assert code == 2
    assert f"user_{kind}.py: is there already" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nett", "user_x"], "kind=nett: expected one of augmentation, baseline, callback"),
        (["net"], "expected a kind and a name. Try python -m ste.new net my_net."),
        (["net", "My-Net"], "name=My-Net: expected lower-case letters, digits and underscores. Try name=my_net."),
        (["net", "torch"], "name=torch: an installed module has that name. Try name=my_torch."),
    ],
)
def test_what_cannot_be_written_is_one_message(call: Call, folder: Path, words: list[str], message: str):
    code, _, err = call("new", *words)
    assert (code, list(folder.iterdir())) == (2, [])
    assert message in err


def failures(kind: str, name: str) -> dict[str, str]:
    return {one.title: one.note for one in run_checks(kind, name).outcomes if one.status == "failed"}


def test_the_faults_of_a_net_are_found(folder: Path):
    text = NET.format(name="Faulty")
    text = text.replace("self.head = ", "self.unused = nn.Linear(2, 2)\n        self.noise = 0\n        self.head = ")
    text = text.replace("return self.head(", "x = x - x.mean(dim=0, keepdim=True)\n        return self.head(")
    (folder / "user_faulty.py").write_text(text)
    load_plugin("user_faulty")
    found = failures("model", "Faulty")
    assert "unused.weight" in found["the gradient reaches every parameter"]
    assert "what is served would depend on other requests" in found["an example is predicted alone as in a batch"]
    assert "a resumed training ends the same" not in found


def test_a_net_that_keeps_its_state_elsewhere_or_draws_for_itself_is_found(folder: Path):
    text = NET.format(name="Hidden").replace(
        "return self.head(", "self.seen += 1\n        return self.seen * self.head("
    )
    (folder / "user_hidden.py").write_text(text.replace("self.head = ", "self.seen = 0.0\n        self.head = "))
    load_plugin("user_hidden")
    assert "a resumed training ends the same" in failures("model", "Hidden")


def test_the_faults_of_a_loss_are_found(folder: Path):
    text = (
        LOSS.replace('"squares"', '"wrong"')
        .replace("dim=-1)", "dim=1)")
        .replace("self.fractions(target, probs)", "0.5")
    )
    (folder / "user_wrong.py").write_text(text)
    load_plugin("user_wrong")
    found = failures("loss", "wrong")
    assert {"label smoothing", "of replicas each one's own"} <= set(found)
    assert "minimal at the true class, with gradient 0" in found


def test_the_faults_of_a_metric_are_found(folder: Path):
    wrong = METRIC.replace("high=1.0", "high=0.4, higher_is_better=False").replace("truth", "untruth")
    (folder / "user_metric.py").write_text(wrong)
    load_plugin("user_metric")
    found = failures("metric", "untruth")
    assert "declared 0 to 0.4" in found["values within its range"]
    assert "lower is declared better" in found["a perfect prediction is best"]


def test_a_failed_check_is_exit_code_3_and_an_unknown_name_2(call: Call, folder: Path):
    (folder / "user_wrong.py").write_text(METRIC.replace("high=1.0", "high=0.1").replace("truth", "untrue"))
    code, out, _ = call("check", "untrue", "plugins=[user_wrong]")
    assert code == 3
    assert "FAILED" in out
    code, _, err = call("check", "user_gone")
    assert code == 2
    assert "component=user_gone: expected one of" in err
    code, out, err = call("check", "mlp")
    assert (code, out.splitlines()[0].split()[:2]) == (0, ["model", "MLP"]), err


def test_every_kind_of_the_project_s_own_passes():
    for kind, names in {"loss": ["cross_entropy", "focal", "ordinal"], "augmentation": ["jitter", "mixup"]}.items():
        assert kind in SUITES
        for name in names:
            assert run_checks(kind, name).passed
    for name in ("accuracy", "mcc", "log_loss", "brier", "auroc"):
        assert run_checks("metric", name).passed
