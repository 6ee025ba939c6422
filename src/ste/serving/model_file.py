"""Resolve the file of the newest model version, without MLflow in the service's process."""

import logging
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from ste.config import PathSettings, TrackingSettings
from ste.errors import RunError
from ste.inference.registry.champion import champion_name, read_champion
from ste.inference.registry.lookup import check_runs_exist, find_model

log = logging.getLogger(__name__)


def newest_model_file(spec: str, tracking: TrackingSettings, paths: PathSettings) -> Callable[[], Path]:
    """Return a function that returns the current file of `model=spec` at each call.

    A file is returned as it is; the champion is read from the pointer in the output folder. Anything else is looked up
    in the tracking store once, in a separate process, because that imports MLflow.

    Args:
        spec: value of the setting `model`.
        tracking: settings of the tracking store.
        paths: output and data folder.

    Raises:
        RunError: the model does not exist.
    """
    name, path, output = champion_name(spec), Path(spec), Path(paths.output)
    known = name is not None and tracking.uri is None and read_champion(output, name)
    if not known and not (spec.endswith(".onnx") or path.is_file()):
        check_runs_exist(spec, tracking, paths)
        log.info("model=%s: looking it up in the tracking store", spec)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            try:
                path = process.submit(find_model, spec, tracking, paths).result()
            except ModuleNotFoundError as error:
                raise RunError(
                    f"model={spec}: the tracking store needs {error.name}, which is not installed. Give an ONNX file: "
                    "run python -m ste.export where it is installed."
                ) from None
    if name is not None and read_champion(output, name):
        return lambda: _champion(output, name)
    return lambda: path


def _champion(output: Path, name: str) -> Path:
    champion = read_champion(output, name)
    if champion is None:
        raise FileNotFoundError(f"the pointer to the champion of {name} in {output} does not exist")
    return champion[1]
