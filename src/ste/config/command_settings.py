"""Settings of the commands other than `ste.train` that have no module of their own."""

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le, Predicate

from ste.config.data_settings import DataSettings, FeatureAudit, RealMarketSettings
from ste.config.feature_sets import DEFAULT, ChosenFeatures
from ste.config.run_settings import PathSettings, StoreSettings
from ste.config.validation import Expect, FileName, Name, NonNegativeInt, PositiveFloat, PositiveInt, Settings
from ste.errors import ConfigError


@dataclass
class GenerateSettings(Settings):
    """A table to write.

    Attributes:
        features: feature sets, which `data.features` follows.
        audit: of the features, which `data.audit` follows.
        data: source and table settings.
        paths: folders.
    """

    data: DataSettings
    paths: PathSettings
    features: ChosenFeatures = DEFAULT
    audit: FeatureAudit = "refuse"


@dataclass
class InspectSettings(Settings):
    """A market to look at.

    Attributes:
        features: feature sets, which `data.features` follows.
        audit: of the features, which `data.audit` follows.
        data: source of a real market.
        paths: folders.
        tickers: rows of the table.
    """

    data: DataSettings
    paths: PathSettings
    features: ChosenFeatures = DEFAULT
    audit: FeatureAudit = "refuse"
    tickers: PositiveInt = 20

    def check(self) -> None:
        """Check that the source has bars of a real market."""
        self.market()

    def market(self) -> RealMarketSettings:
        """Return the settings of the market.

        Raises:
            ConfigError: the source is no real market.
        """
        if not isinstance(self.data, RealMarketSettings):
            raise ConfigError(f"data={self.data.source}: has no files of bars. Try data=market data.bars=bars.csv.")
        return self.data


@dataclass
class ReproduceSettings(Settings):
    """Folders of the seed document's experiment; its other settings are fixed."""

    paths: PathSettings


@dataclass
class EvaluateSettings(StoreSettings):
    """A tracked run to score again.

    Attributes:
        run: a run ID, `latest` or `best`.
        split: `train`, `validation`, `test` or `all`.
    """

    run: Name = "latest"
    split: Literal["train", "validation", "test", "all"] = "all"


@dataclass
class UiSettings(StoreSettings):
    """Address of the MLflow UI, and the runs that it shows.

    Attributes:
        host: address to listen on.
        port: of the page.
        browser: open the page in a browser, at a terminal.
    """

    host: Name = "127.0.0.1"
    port: Annotated[int, Ge(1), Le(65535)] = 5000
    browser: bool = True


@dataclass
class AuditSettings(Settings):
    """Data to check for leaks.

    Attributes:
        features: feature sets, which `data.features` follows.
        audit: of the features, which `data.audit` follows.
        data: source and table settings.
        strict: report an association stronger than any measured on real weeks as an alarm, although a synthetic
            market can have one.
        shuffles: permutations of the labels that quick models are fitted to; 0 skips every check that fits a model.
        table: a file with columns of any name, audited instead of `data`; a first argument without `=` gives it.
        label: its column of the class or number to predict; None looks for a usual name.
        returns: its column of the coming return; None looks for a usual name, and else computes it from the close.
        horizon: periods that label and return of `table` look ahead.
        file: page to write; None is `reports/audit-NAME.html` in the output folder.
    """

    data: DataSettings
    paths: PathSettings
    features: ChosenFeatures = DEFAULT
    audit: FeatureAudit = "refuse"
    strict: bool = False
    shuffles: NonNegativeInt = 2
    table: FileName | None = None
    label: Name | None = None
    returns: Name | None = None
    horizon: PositiveInt = 1
    file: FileName | None = None


@dataclass
class ReportSettings(StoreSettings):
    """A tracked run to report on one page.

    Attributes:
        run: a run ID, `latest` or `best`.
        file: page to write; None is `reports/RUN_ID.html` in the output folder.
        importance: measure the permutation importance of the features.
    """

    run: Name = "latest"
    file: FileName | None = None
    importance: bool = True


@dataclass
class CompareSettings(StoreSettings):
    """The leaderboard of an experiment (`tracking.experiment`).

    Attributes:
        file: page to write; None is `reports/leaderboard-EXPERIMENT.html` in the output folder.
        split: split of the metrics, `test` or `validation`.
    """

    file: FileName | None = None
    split: Literal["test", "validation"] = "test"


def _names_members(runs: str | list[str]) -> bool:
    if isinstance(runs, list):
        return len(runs) > 1
    return re.fullmatch(r"best:(?!0*1?$)\d+|children:\w+", runs) is not None


_MEMBERS = "best:N with N of 2 or more, children:RUN_ID, or [RUN_ID,RUN_ID]"
Members = Annotated[str | list[str], Predicate(_names_members), Expect(_MEMBERS)]


@dataclass
class EnsembleSettings(StoreSettings):
    """Tracked runs to combine into one forecast.

    Attributes:
        runs: `best:N`, `children:RUN_ID` of a sweep, or a list of two run IDs or more.
        method: `average`, `validation` (weights) or `stacked` (`ste.ensembles.pooling`).
        C: inverse of the L2 penalty of the stacked regression.
    """

    runs: Members = "best:5"
    method: Literal["average", "validation", "stacked"] = "average"
    C: PositiveFloat = 0.1

    def check(self) -> None:
        """Check that the members are tracked."""
        self.tracking.require(self.tracking.enabled, "enabled", "true: the members of an ensemble are tracked runs")
