"""Which file is to be served, now and later, without MLflow in this process."""

import logging
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from ste.config import TrackingSettings
from ste.errors import RunError
from ste.inference.registry.champion import ALIAS, NAME, read_champion
from ste.inference.registry.lookup import find_model

log = logging.getLogger(__name__)

_ADDRESS = "models:/"


def newest(spec: str, tracking: TrackingSettings, output: Path, data: Path) -> Callable[[], Path]:
    """A function that gives the file of `model=spec` as it is at each call.

    A file is itself, and the champion is what the pointer in the output folder names. Anything else is looked up
    in the store once, by a process of its own, since that takes MLflow.

    Raises:
        RunError: there is no such model.
    """
    name = _champion_name(spec)
    if name is not None and tracking.uri is None and read_champion(output, name):
        return lambda: _champion(output, name)
    path = Path(spec)
    if not (spec.endswith(".onnx") or path.is_file()):
        log.info("model=%s: looking it up in the store", spec)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            try:
                path = process.submit(find_model, spec, tracking, output, data).result()
            except ModuleNotFoundError as error:
                raise RunError(
                    f"model={spec}: to look it up takes {error.name}, which is not installed here. Give an ONNX file; "
                    "python -m ste.export writes one where it is."
                ) from None
    if name is not None and read_champion(output, name):
        return lambda: _champion(output, name)
    return lambda: path


def _champion_name(spec: str) -> str | None:
    """Registered name that a spec asks the champion of; None where it asks for something else."""
    if spec == ALIAS:
        return NAME
    name, _, alias = spec.removeprefix(_ADDRESS).partition("@")
    return name if spec.startswith(_ADDRESS) and alias == ALIAS else None


def _champion(output: Path, name: str) -> Path:
    found = read_champion(output, name)
    if found is None:
        raise FileNotFoundError(f"the pointer to the champion of {name} in {output} is gone")
    return found[1]
