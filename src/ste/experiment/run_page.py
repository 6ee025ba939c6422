"""What the page of a run shows in MLflow: the parameters that influence it, its tags and its note.

Everything else is in the artifacts `config.yaml`, `summary.json` and `provenance.json`.
"""

from typing import Any

from ste.config import TrainerSettings
from ste.evaluation.scorecard import Scorecard
from ste.evaluation.verdict import Verdict
from ste.evaluation.verdict_text import number, percent

_NO_INFLUENCE = (
    *("paths.", "tracking.", "loggers.", "resume", "origins.", "audit", "data.audit"),
    *("callbacks.progress_bar.", "callbacks.model_checkpoint.", "callbacks.last_checkpoint."),
)
"""Settings that do not influence the result, by the start of their name."""

_TRAINER = "trainer."
_ALWAYS_SHOWN = ("accelerator", "devices", "precision", "max_epochs", "gradient_clip_val")
"""Arguments of the Trainer that are parameters at their default too."""

_VERDICT_TAGS = ("verdict", "verdict.trials", "verdict.p_corrected")
"""Tags of a verdict that a run has; `summary.json` holds all of them."""


def run_params(config: dict[str, Any]) -> dict[str, Any]:
    """Flatten the settings that influence a run to parameters with dotted keys.

    Left out are null values, folders and the store, what only prints or saves, and arguments of the Trainer at their
    default that are seldom changed.

    Args:
        config: settings of the run as plain data.
    """
    return {key: value for key, value in _flatten(config).items() if value is not None and _influences(key, value)}


def run_tags(verdict: Verdict, scores: dict[str, Scorecard]) -> dict[str, str]:
    """Return the tags of a scored run that its row in MLflow shows: verdict, accuracy with its interval, and log-loss.

    They are of the test split, or of validation where there is no test split.

    Args:
        verdict: of the run.
        scores: by split.
    """
    tags = {key: verdict.tags[key] for key in _VERDICT_TAGS if key in verdict.tags}
    figures = scores["test" if "test" in scores else "validation"].figures
    accuracy, log_loss = figures["accuracy"], figures["log_loss"]
    tags |= {"accuracy": f"{percent(accuracy.value)} %", "log-loss": number(log_loss.value)}
    if accuracy.low is not None and accuracy.high is not None:
        tags["interval"] = f"[{percent(accuracy.low)}, {percent(accuracy.high)}]"
    return tags


def run_note(verdict: Verdict, run_id: str) -> str:
    """Write the description of a run in Markdown: the verdict, and the commands that come next.

    Args:
        verdict: of the run.
        run_id: MLflow's ID.
    """
    commands = (
        f"python -m ste.report run={run_id}     # one page with figures, charts and explanations",
        f"python -m ste.evaluate run={run_id}   # score it again from its checkpoints",
        f"python -m ste.export run={run_id}     # one ONNX file, for predict, serve and live",
    )
    return "\n".join([verdict.markdown, "", "```", *commands, "```"])


def _flatten(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            out |= _flatten(value, f"{prefix}{key}.")
        else:
            out[prefix + key] = value
    return out


def _influences(key: str, value: Any) -> bool:
    if key.startswith(_NO_INFLUENCE):
        return False
    name = key.removeprefix(_TRAINER)
    return name == key or name in _ALWAYS_SHOWN or value != getattr(TrainerSettings, name, None)
