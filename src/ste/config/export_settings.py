"""Settings of `python -m ste.export`."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Predicate

from ste.config.run_settings import StoreSettings
from ste.config.validation import Expect, Name
from ste.errors import ConfigError

OnnxFile = Annotated[str, Predicate(lambda name: name.endswith(".onnx")), Expect("a file whose name ends in .onnx")]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_NAME_TEXT = Expect("letters, digits, dots, dashes and underscores")
ModelName = Annotated[str, Predicate(lambda name: _NAME.fullmatch(name) is not None), _NAME_TEXT]


@dataclass
class ExportSettings(StoreSettings):
    """Which tracked run to export, and where to publish the ONNX file.

    Attributes:
        run: a run ID, `latest` or `best`.
        output: file to write.
        register: save the file with the run and register it as a version of `name`.
        name: in MLflow's model registry.
        promote: set the alias `champion` to it: `auto`, if the run's verdict is better; `yes` or `no`.
    """

    run: Name = "best"
    output: OnnxFile = "model.onnx"
    register: bool = True
    name: ModelName = "ste"
    promote: Literal["auto", "yes", "no"] = "auto"

    def check(self) -> None:
        """Check that a version to promote is registered, and that the output can be written."""
        possible = self.register or self.promote != "yes"
        self.require(possible, "promote", "auto or no with register=false: only a registered version can be champion")
        path = Path(self.output)
        folder = path.parent
        if not folder.is_dir():
            raise ConfigError(f"output={path}: there is no folder {folder}. Make it, or try output={path.name}.")
        if path.is_dir():
            raise ConfigError(f"output={path}: that is a folder. Expected a file. Try output={path / 'model.onnx'}.")
        if not os.access(folder, os.W_OK):
            raise ConfigError(f"output={path}: the folder {folder} cannot be written to. Choose another.")
