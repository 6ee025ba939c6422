"""Judge predictions of any tool: `python -m ste.judge predictions.csv`."""

import shlex
import sys
from pathlib import Path

from omegaconf import DictConfig

from ste.config.component_settings import name_words
from ste.config.fast_imports import fast_imports
from ste.config.hydra_app import run
from ste.config.judge_settings import JudgeSettings
from ste.config.load import load_settings
from ste.config.progress import step
from ste.library.callable_module import make_callable
from ste.library.judge_predictions import judge

WORDS = ("predictions", "other")
"""Settings that may be typed without their names."""


def judge_task(config: DictConfig) -> None:
    """Judge the file, or both and their differences; print the results and write the pages."""
    settings = load_settings(JudgeSettings, config)
    with fast_imports("pandas"):
        from ste.judging.judgement import judge_file
        from ste.judging.judgement_text import print_judgement, print_pair
        from ste.judging.paired_scores import pair

    judged = []
    for key in WORDS:
        what = getattr(settings, key)
        if what is not None:
            with step(f"judging {Path(what).name}"):
                judged.append(judge_file(what, settings, key))
            print_judgement(judged[-1])
    if len(judged) > 1:
        print_pair(pair(judged[0], judged[1], settings.scoring))
    with fast_imports("matplotlib"):
        from ste.data.storage.files import atomic_file
        from ste.judging.judgement_page import judgement_page
        from ste.reporting.console import print_places, short_path

    for number, judgement in enumerate(judged):
        name = judgement.model if number == 0 or judgement.model != judged[0].model else f"{judgement.model}-2"
        file = Path(settings.paths.output) / "judge" / f"{name}.html"
        if settings.page is not None and number == 0:
            file = Path(settings.page)
        with step("writing the page"), atomic_file(file) as partial:
            partial.write_text(judgement_page(judgement, settings, command_line()), encoding="utf-8")
        print_places({"page": short_path(file.resolve())})


def command_line() -> str:
    """Return the command as a shell takes it."""
    return shlex.join(["python", "-m", "ste.judge", *sys.argv[1:]])


def main() -> None:
    """Console entry."""
    sys.argv[1:] = name_words(sys.argv[1:], WORDS)
    run("judge", judge_task)


make_callable(__name__, judge)

if __name__ == "__main__":
    main()
