"""Reproduce the seed document's experiment: `python -m ste.reproduce`."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from ste.config import ReproduceSettings, TrainSettings
from ste.config.fast_imports import loading
from ste.config.hydra_app import run
from ste.config.load import compose_train, load_settings, to_dict


@dataclass(frozen=True)
class Stated:
    """What the document says of one of its models."""

    title: str
    parameters: int
    file: str
    accuracy: float


MODELS = {
    "lstm": Stated("LSTM", 57_731, "230 KB", 0.3333),
    "dual_tower": Stated("Dual Tower", 2_371, "14 KB", 0.25),
}
ROWS, FEATURES, CLASSES, SECONDS = "23, 12", "21", "3", "about 0.5 (both)"
"""What it says of its data, and of the time that both models took to train."""


def reproduce_task(config: DictConfig) -> None:
    """Train both models with the document's settings, keep their weights, print the comparison."""
    settings = load_settings(ReproduceSettings, config)
    with loading():
        import torch  # only now: --help answers without it

        from ste.data.storage.files import atomic_file
        from ste.experiment.run import train

    output = Path(settings.paths.output)
    folder = output / "reproduction"
    folder.mkdir(parents=True, exist_ok=True)
    results = {}
    for name, stated in MODELS.items():
        overrides = [f"paths.data={settings.paths.data}", f"paths.output={output}"]
        values = to_dict(compose_train([f"experiment=seed_{name}", *overrides]))
        values["trainer"] |= {"threads": 1, "progress": False}  # 12 batches: a second thread only waits
        result = train(load_settings(TrainSettings, values), values, folder / name, f"{stated.title}, seed document")
        assert result is not None
        with atomic_file(folder / f"{name}_best.pth") as partial:
            torch.save(result.module.net.state_dict(), partial)
        results[name] = result
    with atomic_file(folder / "training_summary.json") as partial:
        partial.write_text(json.dumps(_summary(folder, results), indent=2) + "\n")
    _print(folder, results)


def _summary(folder: Path, results: dict[str, Any]) -> dict[str, Any]:
    models = {}
    for name, result in results.items():
        scaler = result.module.representation
        models[name] = {
            "class": result.model,
            "arguments": result.module.hparams["net_arguments"],
            "file": f"{name}_best.pth",
            "parameters": result.parameters,
            "best_epoch": result.best_epoch,
            "fit_seconds": round(result.fit_seconds, 3),
            "run_id": result.run_id,
            "metrics": {split: scores.metrics for split, scores in result.scores.items()},
            "validation_examples": result.scores["validation"].examples,
            "scaler": {"mean": scaler.mean.tolist(), "scale": scaler.scale.tolist()},
        }
    card = next(iter(results.values())).card
    return {
        "data": {split: entry["rows"] for split, entry in card["files"].items()},
        "data_digest": card["digest"],
        "features": card["features"],
        "classes": card["classes"],
        "settings": {"epochs": 20, "batch_size": 8, "optimizer": "Adam", "learning_rate": 1e-3, "sequence_length": 3},
        "models": models,
    }


def _print(folder: Path, results: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    from ste.evaluation.bootstrap import binomial_interval

    card = next(iter(results.values())).card
    console = Console(width=None if Console().is_terminal else 100, highlight=False)
    table = Table(header_style="bold", title="The seed document's experiment, beside ours")
    for column in ("", "document", "ours"):
        table.add_column(column)
    rows = {split: entry["rows"] for split, entry in card["files"].items()}
    table.add_row("rows: train, validation", ROWS, f"{rows['train']}, {rows['validation']}")
    table.add_row("features", FEATURES, str(len(card["features"])))
    table.add_row("classes", CLASSES, str(len(card["classes"])))
    for name, stated in MODELS.items():
        result, title = results[name], stated.title
        scores = result.scores["validation"]
        right = sum(scores.confusion[i][i] for i in range(len(scores.confusion)))
        low, high = binomial_interval(right, scores.examples)
        size = (folder / f"{name}_best.pth").stat().st_size
        table.add_section()
        table.add_row(f"{title}: parameters", f"{stated.parameters:,}", f"{result.parameters:,}")
        table.add_row(f"{title}: weights file", stated.file, f"{size // 1024} KB")
        table.add_row(
            f"{title}: best validation accuracy",
            f"{stated.accuracy:.2%}",
            f"{right / scores.examples:.2%} ({right} of {scores.examples}), 95 % exact [{low:.1%}, {high:.1%}]",
        )
        table.add_row(f"{title}: training seconds", SECONDS, f"{result.fit_seconds:.1f}")
    console.print(table)
    examples = results["lstm"].scores["validation"].examples
    low, high = binomial_interval(examples // 3, examples)
    console.print(
        f"{examples} validation rows cannot tell these models from a coin of three sides: whoever guesses a third "
        f"of them right has a 95 % interval of [{low:.0%}, {high:.0%}]. That even takes the rows for "
        "independent, while they are two weeks of seven tickers that move together, and the best of 20 epochs was "
        "chosen by the same rows. They show that the program runs, not that it predicts. The document's 33.33 % is "
        "3 of 9 windows, which ran across tickers; ours stay within one. Its data was drawn by another generator, so "
        "accuracies need not agree; rows, features, parameters and file sizes must."
    )
    files = "lstm_best.pth, dual_tower_best.pth, training_summary.json"
    console.print(f"files in {folder}: {files}", style="dim", markup=False)


def main() -> None:
    """Console entry."""
    run("reproduce", reproduce_task)


if __name__ == "__main__":
    main()
