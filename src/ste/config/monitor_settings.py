"""Settings of `python -m ste.monitor`."""

from dataclasses import dataclass

from ste.config.run_settings import PathSettings, TrackingSettings
from ste.config.validation import IsoDate, PositiveInt, Settings


@dataclass
class MonitorSettings(Settings):
    """A served model, what it said, and what came.

    Attributes:
        model: an ONNX file, a run id, `latest`, `best`, `champion` or `models:/NAME@ALIAS`.
        predictions: file that `ste.predict` or `ste.live` wrote; None has the model predict again.
        features: weekly table that was predicted from, for the drift of its features.
        bars, news, macro, policy: the daily files that it was computed from, instead.
        served: counts that a service keeps (`monitor/` in its output folder), to look at instead of files.
        truth: bars or a labelled table that came later; None is the bars or the table given.
        since: first date looked at, ISO; None is the day after the model's training.
        periods: the latest ones that drift is measured over.
        strict: leave with exit code 3 on an alarm.
        json, html: files to write.
    """

    tracking: TrackingSettings
    paths: PathSettings
    model: str = "champion"
    predictions: str | None = None
    features: str | None = None
    bars: str | None = None
    news: str | None = None
    macro: str | None = None
    policy: str | None = None
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
        alone = bool(self.bars) or not any((self.news, self.macro, self.policy))
        self.require(alone, "bars", "a file of daily bars as well as news, macro or policy", "bars.csv")

    def files(self) -> dict[str, str]:
        """The tables given, by setting; predictions may be lines of JSON and are looked at when they are read."""
        named = {"features": self.features, "bars": self.bars, "news": self.news, "macro": self.macro}
        named |= {"policy": self.policy, "truth": self.truth}
        return {kind: path for kind, path in named.items() if path is not None}
