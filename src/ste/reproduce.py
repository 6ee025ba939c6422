"""Reproduce the seed document's experiment: `python -m ste.reproduce`."""

import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from omegaconf import DictConfig

from ste.config import ReproduceSettings, TrainSettings
from ste.config.fast_imports import fast_imports
from ste.config.hydra_app import run
from ste.config.load import compose_command, load_settings, to_dict


@dataclass(frozen=True)
class DocumentFigures:
    """Figures of a model in the document."""

    title: str
    parameters: int
    file: str
    accuracy: float


MODELS = {
    "lstm": DocumentFigures("LSTM", 57_731, "230 KB", 0.3333),
    "dual_tower": DocumentFigures("Dual Tower", 2_371, "14 KB", 0.25),
}
ROWS, FEATURES, CLASSES, SECONDS = "23, 12", "21", "3", "about 0.5 (both)"
"""Rows, features and classes of the document's data, and the training time of both models."""


def reproduce_task(config: DictConfig) -> None:
    """Train both models with the document's settings, save their weights, and print both results."""
    settings = load_settings(ReproduceSettings, config)
    with fast_imports("torch, Lightning and MLflow"):
        import torch  # only now: --help answers without it

        from ste.data.storage.files import atomic_file
        from ste.experiment.run import train

    output = Path(settings.paths.output)
    folder = output / "reproduction"
    folder.mkdir(parents=True, exist_ok=True)
    results = {}
    for name, document in MODELS.items():
        overrides = [f"paths.data={settings.paths.data}", f"paths.output={output}"]
        values = to_dict(compose_command("train", [f"experiment=seed_{name}", *overrides]))
        values["trainer"]["threads"] = 1  # 12 batches: a second thread only waits
        result = train(load_settings(TrainSettings, values), values, folder / name, f"{document.title}, seed document")
        assert result is not None
        with TemporaryDirectory(dir=folder) as staging:  # the archive holds the name that it is saved under
            weights = Path(staging) / f"{name}_best.pth"
            torch.save(result.module.net.state_dict(), weights)
            weights.replace(folder / weights.name)
        results[name] = result
    with atomic_file(folder / "training_summary.json") as partial:
        partial.write_text(json.dumps(_summary(folder, results), indent=2) + "\n")
    _print(folder, results)


def _summary(folder: Path, results: dict[str, Any]) -> dict[str, Any]:
    models = {}
    for name, result in results.items():
        scaler = result.module.representation
        models[name] = json.loads((folder / name / "summary.json").read_text()) | {
            "arguments": result.module.hparams["net_arguments"],
            "file": f"{name}_best.pth",
            "scaler": {"mean": scaler.mean.tolist(), "scale": scaler.scale.tolist()},
        }
    card = next(iter(results.values())).card
    rows = {split: entry["rows"] for split, entry in card["files"].items()}
    return {"data": rows, "features": card["features"], "classes": card["classes"], "models": models}


def _print(folder: Path, results: dict[str, Any]) -> None:
    from rich.table import Table

    from ste.evaluation.bootstrap import binomial_interval
    from ste.reporting.console import console

    card = next(iter(results.values())).card
    out = console()
    table = Table(header_style="bold", title="The seed document's experiment and this reproduction")
    for column in ("", "document", "reproduction"):
        table.add_column(column)
    rows = {split: entry["rows"] for split, entry in card["files"].items()}
    table.add_row("rows: train, validation", ROWS, f"{rows['train']}, {rows['validation']}")
    table.add_row("features", FEATURES, str(len(card["features"])))
    table.add_row("classes", CLASSES, str(len(card["classes"])))
    for name, document in MODELS.items():
        result, title = results[name], document.title
        scores = result.scores["validation"]
        correct = sum(scores.confusion[i][i] for i in range(len(scores.confusion)))
        low, high = binomial_interval(correct, scores.examples)
        size = (folder / f"{name}_best.pth").stat().st_size
        table.add_section()
        table.add_row(f"{title}: parameters", f"{document.parameters:,}", f"{result.parameters:,}")
        table.add_row(f"{title}: weights file", document.file, f"{size // 1024} KB")
        table.add_row(
            f"{title}: best validation accuracy",
            f"{document.accuracy:.2%}",
            f"{correct / scores.examples:.2%} ({correct} of {scores.examples})\n95 % exact [{low:.1%}, {high:.1%}]",
        )
        table.add_row(f"{title}: training seconds", SECONDS, f"{result.fit_seconds:.1f}")
    out.print(table)
    examples = results["lstm"].scores["validation"].examples
    low, high = binomial_interval(examples // 3, examples)
    out.print(
        f"{examples} validation rows do not distinguish these models from chance: an accuracy of one third has a 95 % "
        f"interval of [{low:.0%}, {high:.0%}]. That interval assumes independent rows, while these are two weeks of "
        "seven tickers that move together, and the best of 20 epochs was selected on the same rows. The figures show "
        "that the program runs, not that it predicts. The document's 33.33 % is 3 of 9 windows that ran across "
        "tickers; windows here stay within one ticker. The document used another generator, so accuracies may differ; "
        "rows, features, parameters and file sizes must agree."
    )
    files = "lstm_best.pth, dual_tower_best.pth, training_summary.json"
    out.print(f"files in {folder}: {files}", style="dim", markup=False)


def main() -> None:
    """Console entry."""
    run("reproduce", reproduce_task)


if __name__ == "__main__":
    main()
