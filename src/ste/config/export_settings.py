"""Settings of `python -m ste.export`."""

import re
from dataclasses import dataclass

from ste.config.run_settings import PathSettings, TrackingSettings
from ste.config.validation import choice, require


@dataclass
class ExportSettings:
    """Which tracked run to export, and where to publish the ONNX file.

    Attributes:
        run: a run id, `latest` or `best`.
        output: file to write.
        register: save the file with the run and register it as a version of `name`.
        name: in MLflow's model registry.
        promote: set the alias `champion` to it: `auto`, if the run's verdict is better; `yes` or `no`.
    """

    tracking: TrackingSettings
    paths: PathSettings
    run: str = "best"
    output: str = "model.onnx"
    register: bool = True
    name: str = "ste"
    promote: str = "auto"

    def __post_init__(self) -> None:
        require(self, "output", self.output.endswith(".onnx"), "a file whose name ends in .onnx")
        require(self, "register", isinstance(self.register, bool), "true or false", example="true")
        known = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", str(self.name)) is not None
        require(self, "name", known, "letters, digits, dots, dashes and underscores")
        choice(self, "promote", ("auto", "yes", "no"))
        asked = self.register or self.promote != "yes"
        require(self, "promote", asked, "auto or no with register=false: only a registered version can be champion")
