"""Settings of the service's page."""

from dataclasses import dataclass

from ste.settings.checks import require


@dataclass
class PageSettings:
    """Files of a market whose past the page shows; without bars it shows the model alone.

    Attributes:
        bars: daily bars.
        news, macro, policy: optional files beside them.
    """

    bars: str | None = None
    news: str | None = None
    macro: str | None = None
    policy: str | None = None

    def __post_init__(self) -> None:
        alone = bool(self.bars) or not any((self.news, self.macro, self.policy))
        require(self, "page.bars", alone, "a file of daily bars beside news, macro or policy", "bars.csv")
