"""Check a component of your own: `python -m ste.check my_net`; exit code 3 if a check fails."""

import sys

from omegaconf import DictConfig

from ste.config import CheckSettings
from ste.config.component_settings import name_words
from ste.config.fast_imports import fast_imports
from ste.config.hydra_app import run
from ste.config.load import load_settings

FAILED = 3
"""Exit code where a check failed."""


def check_task(config: DictConfig) -> None:
    """Run the checks of the components and print a table for each."""
    settings = load_settings(CheckSettings, config)
    with fast_imports("torch, Lightning and ONNX"):
        from ste.conformance.find_components import find_components
        from ste.conformance.suite import run_checks
        from ste.conformance.table import print_conformance

    results = []
    for kind, name in find_components(settings.component, settings.kind):
        results.append(run_checks(kind, name))
        print_conformance(results[-1])
    if not all(result.passed for result in results):
        sys.exit(FAILED)


def main() -> None:
    """Console entry."""
    sys.argv[1:] = name_words(sys.argv[1:], ("component",))
    run("check", check_task)


if __name__ == "__main__":
    main()
