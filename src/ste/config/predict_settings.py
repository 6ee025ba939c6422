"""Settings of `python -m ste.predict`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ste.config.run_settings import PathSettings, TrackingSettings
from ste.config.validation import require

ENDINGS = (".csv", ".csv.gz", ".parquet")


@dataclass
class PredictSettings:
    """What to predict, with which model, and where to write the predictions.

    Attributes:
        model: an ONNX file of `python -m ste.export`, or a run id, `latest`, `best`, `champion`, `models:/NAME@ALIAS`.
        input: table of features, CSV (compressed or not) or Parquet; or else
        bars: daily bars, CSV or Parquet.
        news, macro, policy: files that complement the bars; missing ones are filled with neutral values.
        output: predictions: a file ending in `.csv`, `.csv.gz` or `.parquet`, or a folder for Parquet parts. Several
            workers always write a folder of parts.
        rejects: CSV of the rows that cannot be predicted; None is `NAME.rejects.csv` next to the output. A folder of
            parts where the output is one.
        latest: predict only the newest period of the bars.
        threads: of the model, in each worker. More are faster on an idle machine and take more processor time in all.
        workers: processes that each predict some tickers of the table.
        cluster: where the workers run: None is this machine, `ray` a Ray cluster (docs/scale.md).
    """

    tracking: TrackingSettings
    paths: PathSettings
    model: Any = "champion"
    input: Any = None
    bars: Any = None
    news: Any = None
    macro: Any = None
    policy: Any = None
    output: Any = None
    rejects: Any = None
    latest: bool = False
    threads: int = 1
    workers: int = 1
    cluster: str | None = None

    def __post_init__(self) -> None:
        for key in ("model", "input", "bars", "news", "macro", "policy", "output", "rejects"):
            value = getattr(self, key)
            if value is not None:
                setattr(self, key, str(value))
        require(self, "model", bool(self.model), "a file or a run", example="model.onnx")
        one = (self.input is None) != (self.bars is None)
        require(self, "input", one, "a table, or daily bars as bars=FILE, one of the two", example="table.csv")
        known = self.output is not None and (self.output.endswith(ENDINGS) or not Path(self.output).suffix)
        expected = f"a file ending in {', '.join(ENDINGS)}, or a folder"
        require(self, "output", known, expected, example="predictions.csv")
        for key in ("news", "macro", "policy"):
            require(self, key, getattr(self, key) is None or self.bars is not None, "bars=FILE next to it")
        known = self.rejects is None or self.rejects.endswith(".csv")
        require(self, "rejects", known, "a file ending in .csv", example="rejects.csv")
        require(self, "latest", isinstance(self.latest, bool), "true or false", example="true")
        require(self, "latest", not self.latest or self.bars is not None, "bars=FILE next to it", example="false")
        require(self, "threads", self.threads >= 1, "1 or more")
        require(self, "workers", self.workers >= 1, "1 or more")
        require(self, "cluster", self.cluster in (None, "ray"), "ray, or null for this machine", example="ray")
        key = "workers" if self.workers > 1 else "cluster"
        possible = not self.distributed or self.input is not None
        require(self, key, possible, "input=FILE next to it: one process reads bars", example="null")

    @property
    def distributed(self) -> bool:
        """Whether workers predict, instead of this process."""
        return self.workers > 1 or self.cluster is not None

    @property
    def in_parts(self) -> bool:
        """Whether the outputs are folders of parts."""
        return self.distributed or not self.output.endswith(ENDINGS)

    @property
    def ending(self) -> str:
        """Ending of the predictions' files; `.parquet` where the output names none."""
        return next((ending for ending in ENDINGS if self.output.endswith(ending)), ".parquet")

    @property
    def reject_path(self) -> str:
        """Path of the rejects."""
        return str(self.rejects or f"{self.output.removesuffix(self.ending)}.rejects.csv")

    def files(self) -> dict[str, str]:
        """The input files by setting."""
        keys = ("input", "bars", "news", "macro", "policy")
        return {key: str(getattr(self, key)) for key in keys if getattr(self, key) is not None}
