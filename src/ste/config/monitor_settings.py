"""Settings of `python -m ste.monitor`."""

from dataclasses import dataclass

from ste.config.data_settings import MarketFiles
from ste.config.run_settings import StoreSettings
from ste.config.validation import IsoDate, PositiveInt
from ste.schema import MARKET_COLUMNS


@dataclass
class MonitorSettings(MarketFiles, StoreSettings):
    """Settings of a review of a deployed model.

    Attributes:
        model: an ONNX file, a run id, `latest`, `best`, `champion` or `models:/NAME@ALIAS`.
        predictions: prediction log of `ste.predict` (a file or a folder) or `ste.live`; None lets the model predict
            again.
        features: weekly table of the predictions' inputs, to measure the drift of the features.
        bars, news, macro, policy: daily files to compute the inputs from, instead of `features`.
        served: drift counts of a service (`monitor/` in its output folder), instead of files.
        truth: later bars in any shape, or a labelled table, with the outcomes; None uses the given bars or table.
        since: first date to include, ISO; None is the day after the model's training.
        periods: number of latest periods that drift is measured over.
        strict: exit with code 3 unless the recommendation is `no change`.
        json, html: files to write.
    """

    model: str = "champion"
    predictions: str | None = None
    features: str | None = None
    served: str | None = None
    truth: str | None = None
    since: IsoDate | None = None
    periods: PositiveInt = 26
    strict: bool = False
    json: str | None = None
    html: str | None = None

    def check(self) -> None:
        """Check that there is something to monitor, and that the features come from one place."""
        some = any((self.predictions, self.features, self.bars, self.served))
        self.require(some, "predictions", "a file of predictions, or features= or bars= to predict from", "FILE")
        both = not (self.features and self.bars)
        self.require(both, "features", f"null, as bars={self.bars} gives the features", "null")
        super().check()

    def files(self) -> dict[str, str]:
        """Return the given tables by setting; predictions are checked when they are read, as they may be JSON lines."""
        return self.given(("features", *MARKET_COLUMNS, "truth")) | self.extra_files()
