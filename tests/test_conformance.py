"""`ste.new` and `ste.check`: templates that work, and faults of a component that are found."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Call
from plugin_files import LOSS, METRIC, NET, forgotten_plugins
from ste.conformance.component_checks import SUITES, run_checks
from ste.conformance.suites.model_checks import NetUnderTest
from ste.conformance.templates.scaffold import template_kinds
from ste.plugins import load_plugin

LINES = 80


@pytest.fixture
def not_exported(monkeypatch: pytest.MonkeyPatch) -> None:
    """The template is exported in its own test; a graph takes seconds."""
    monkeypatch.setattr(NetUnderTest, "export", lambda net: "")


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    with forgotten_plugins():
        yield


@pytest.mark.parametrize("kind", [kind for kind in template_kinds() if kind != "callback"])
def test_a_new_component_passes_its_checks(call: Call, folder: Path, kind: str):
    code, out, err = call("new", kind, f"user_{kind}")
    assert code == 0, err
    ending = ".yaml" if kind == "feature_set" else ".py"
    written = f"user_{kind}.yaml" if kind == "feature_set" else f"user_{kind}"
    assert f"wrote  user_{kind}{ending}\n" in out
    assert f"python -m ste.check {written}\n" in out
    assert not (folder / "outputs").exists()
    assert "# next" not in (folder / f"user_{kind}{ending}").read_text()
    code, out, err = call("check", written)
    assert code == 0, out + err
    assert "0 failed" in out
    assert max(map(len, out.splitlines())) <= LINES
    code, _, err = call("new", kind, f"user_{kind}")
    assert code == 2
    assert f"user_{kind}{ending}: is there already" in err


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


@pytest.mark.usefixtures("not_exported")
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


@pytest.mark.usefixtures("not_exported")
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
    wrong = METRIC.replace("high=1.0, higher_is_better=True", "high=0.4, higher_is_better=False").replace(
        "truth", "untruth"
    )
    (folder / "user_metric.py").write_text(wrong)
    load_plugin("user_metric")
    found = failures("metric", "untruth")
    assert "declared 0 to 0.4" in found["values within its range"]
    assert "lower is declared better" in found["a perfect prediction is best"]


FEATURE = """
import numpy as np
import ste

CALLS = []


@ste.register("feature", lookback={back})
def {name}(close: np.ndarray, n: int = 5) -> np.ndarray:
    CALLS.append(1)
    return {value}
"""


@pytest.mark.parametrize(
    ("name", "value", "title", "note"),
    [
        ("user_shift", "np.append(close[1:], close[-1])", "it uses the past alone", "without the bars after"),
        ("user_mean", "np.cumsum(close) / np.arange(1, len(close) + 1)", "it looks back no further than it", "declare"),
        ("user_state", "close * len(CALLS)", "the same bars give the same values", "it keeps a state"),
        ("user_short", "close[1:]", "one number for each bar", "expected numbers of shape"),
        ("user_nan", "np.full(len(close), np.nan)", "one number for each bar", "no value on any row"),
        ("user_gaps", "close / (1 // int(np.isfinite(close).any()))", "bars without a value", "ZeroDivisionError"),
    ],
)
def test_the_faults_of_a_feature_function_are_found(folder: Path, name: str, value: str, title: str, note: str):
    (folder / "user_feature.py").write_text(FEATURE.format(name=name, value=value, back="lambda n: n"))
    load_plugin("user_feature")
    [found] = [text for one, text in failures("feature", name).items() if one.startswith(title)]
    assert note in found


LABEL = """
import numpy as np
import ste
from ste.labels.label_method import LabelRows, Labels


@ste.register("label")
def {name}(rows: LabelRows) -> Labels:
    bars, at = rows.bars, np.minimum(rows.bar + {ahead}, len(rows.bars.close) - 1)
    change = np.where(bars.history[at] == bars.history[rows.bar], bars.close[at] / rows.close - 1, np.nan)
    return Labels({classes}, change, np.full(len(rows), {end}))
"""


@pytest.mark.parametrize(
    ("name", "changes", "title", "note"),
    [
        ("user_late", {"ahead": 8, "end": 1}, "a label does not change", "state"),
        ("user_beyond", {"end": 99}, "labels can be computed", "99"),
        ("user_float", {"classes": "change"}, "labels can be computed", "Expected integers"),
        ("user_one", {"classes": "np.ones(len(rows), dtype=int)"}, "several classes occur", "Neutral 100 %"),
        ("user_fails", {"classes": "rows.no_such"}, "labels can be computed", "no_such' (user_label.py, line 11)"),
    ],
)
def test_the_faults_of_a_label_are_found(folder: Path, name: str, changes: dict[str, object], title: str, note: str):
    values = {"classes": "1 + (change > 0) - (change < 0)", "ahead": 3, "end": 1, **changes}
    (folder / "user_label.py").write_text(LABEL.format(name=name, **values))
    load_plugin("user_label")
    [found] = [text for one, text in failures("label", name).items() if one.startswith(title)]
    assert note in found


def test_the_columns_of_a_feature_set_are_checked_each(call: Call, folder: Path):
    (folder / "user_feature.py").write_text(
        FEATURE.format(name="user_shift", value="np.append(close[1:], close[-1])", back=5)
    )
    (folder / "mine.yaml").write_text(
        "columns:\n  - {name: level, expr: $close, unit: price}\n  - {name: ahead, expr: user_shift($close)}\n"
        "  - {name: mood, expr: 'Mean($own.mood, 30)'}\n  - {name: none, expr: $close / ($close - $close)}\n"
    )
    code, out, err = call("check", "mine.yaml", "plugins=[user_feature]")
    text = " ".join(out.split())
    assert code == 3, err
    assert "level passed price, log_ratio, 1 bar" in text
    assert "ahead FAILED it uses the future" in text
    assert "mood passed ratio, none, 30 bars" in text
    assert "none FAILED $close / ($close - $close) has no value on any of" in text
    assert max(map(len, out.splitlines())) <= LINES
    code, _, err = call("check", "prices12")
    assert code == 2
    assert "Try component=prices11" in err


@pytest.mark.usefixtures("not_exported")
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
