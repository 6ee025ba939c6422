"""A planted leak."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ste.market.sources import Market

Plant = Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame]
MarketPlant = Callable[[Market, np.random.Generator], Market]


@dataclass(frozen=True)
class Leak:
    """A leak that is planted in a clean table, or in the sources of one.

    Attributes:
        name: what is planted, as docs/audit.md names it.
        origin: `known` (the audit had named it before), `missed` (it had not) or `own`.
        where: texts of which an alarm's place holds one, where it names the leak.
        plant: changes a table's rows, sorted by ticker and date, with `split`.
        sources: changes the daily sources; either this or `plant` is given.
        horizon: that is stated to the audit.
        missed: why the data cannot show it; printed where the audit does not name it.
    """

    name: str
    origin: str
    where: tuple[str, ...]
    plant: Plant | None = None
    sources: MarketPlant | None = None
    horizon: int = 1
    missed: str = ""


@dataclass
class Leaks:
    """A list that functions with a decorator append to."""

    items: list[Leak] = field(default_factory=list)

    def table(
        self, name: str, origin: str, *where: str, horizon: int = 1, missed: str = ""
    ) -> Callable[[Plant], Plant]:
        """Register a function of a table's rows."""

        def register(plant: Plant) -> Plant:
            self.items.append(Leak(name, origin, where, plant=plant, horizon=horizon, missed=missed))
            return plant

        return register

    def market(self, name: str, origin: str, *where: str, missed: str = "") -> Callable[[MarketPlant], MarketPlant]:
        """Register a function of daily sources."""

        def register(plant: MarketPlant) -> MarketPlant:
            self.items.append(Leak(name, origin, where, sources=plant, missed=missed))
            return plant

        return register


LEAKS = Leaks()
"""Every planted leak."""
