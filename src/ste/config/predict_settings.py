"""Settings of `python -m ste.predict`."""

from dataclasses import dataclass
from typing import Any

from ste.config.run_settings import PathSettings, TrackingSettings
from ste.config.validation import require

ENDINGS = (".csv", ".csv.gz", ".parquet")


@dataclass
class PredictSettings:
    """A file to predict from, and where the predictions go.

    Attributes:
        model: an ONNX file of `python -m ste.export`, or a run id, `latest`, `best`, `champion`, `models:/NAME@ALIAS`.
        input: table of features, CSV (compressed or not) or Parquet; or else
        bars: daily bars, CSV or Parquet.
        news, macro, policy: what there is beside bars; the rest is filled by a neutral value.
        output: predictions, `.csv`, `.csv.gz` or `.parquet`.
        rejects: CSV of rows that cannot be predicted; None is `NAME.rejects.csv` beside the output.
        latest: only the newest period of the bars.
        threads: of the model, in each process. More are faster on a quiet machine and cost more processor time in all.
        workers: processes that share the table by ticker; the output is the same.
        cluster: where they run: None is this machine, `ray` a Ray cluster (docs/scale.md).
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
        ending = self.output is not None and self.output.endswith(ENDINGS)
        require(self, "output", ending, f"a file ending in {', '.join(ENDINGS)}", example="predictions.csv")
        for key in ("news", "macro", "policy"):
            require(self, key, getattr(self, key) is None or self.bars is not None, "bars=FILE beside it")
        known = self.rejects is None or self.rejects.endswith(".csv")
        require(self, "rejects", known, "a file ending in .csv", example="rejects.csv")
        require(self, "latest", isinstance(self.latest, bool), "true or false", example="true")
        require(self, "latest", not self.latest or self.bars is not None, "bars=FILE beside it", example="false")
        require(self, "threads", self.threads >= 1, "1 or more")
        require(self, "workers", self.workers >= 1, "1 or more")
        require(self, "cluster", self.cluster in (None, "ray"), "ray, or null for this machine", example="ray")
        spread = self.workers > 1 or self.cluster is not None
        key = "workers" if self.workers > 1 else "cluster"
        apart = not spread or self.input is not None
        require(self, key, apart, "input=FILE beside it: bars are read whole, by one process", example="null")

    def files(self) -> dict[str, str]:
        """The files given, by setting."""
        keys = ("input", "bars", "news", "macro", "policy")
        return {key: str(getattr(self, key)) for key in keys if getattr(self, key) is not None}

    def reject_file(self) -> str:
        """Where rejects go."""
        if self.rejects is not None:
            return str(self.rejects)
        ending = next(ending for ending in ENDINGS if str(self.output).endswith(ending))
        return str(self.output).removesuffix(ending) + ".rejects.csv"
