"""Build the leaderboard of an experiment: `python -m ste.compare`."""

from omegaconf import DictConfig

from ste.config import CompareSettings
from ste.config.fast_imports import fast_imports
from ste.config.hydra_app import run
from ste.config.load import load_settings


def compare_task(config: DictConfig) -> None:
    """Write the page, and print the experiment's runs, best first, and what to type next."""
    settings = load_settings(CompareSettings, config)
    with fast_imports("MLflow"):  # mlflow loads only now
        from ste.experiment.board import write_board
        from ste.reporting.console import print_next, print_places
        from ste.reporting.leaderboard_text import next_commands, print_leaderboard

    board, file = write_board(settings)
    print_leaderboard(board)
    print_places({"page": str(file.resolve())})
    print_next(next_commands(board))


def main() -> None:
    """Console entry."""
    run("compare", compare_task)


if __name__ == "__main__":
    main()
