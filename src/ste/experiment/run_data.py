"""The tables of a run and the splits that its model is trained and scored on."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ste.config import DataSettings, ValidationSettings
from ste.data.build.data_card import is_synthetic
from ste.data.build.prepare import prepare
from ste.data.cross_validation import Fold, folds, max_fold_examples
from ste.data.datamodule import TrendDataModule
from ste.data.panel import Panel
from ste.errors import RunError


@dataclass(frozen=True)
class RunData:
    """The examples of a run. Tables are built or read at the first use.

    Attributes:
        settings: of the tables.
        folder: of built tables.
        validation: one split or folds.
        view: what the model reads, `sequence` (windows) or `flat` (rows).
        seed: of the order of training batches.
        max_rows: maximum examples of a split that are scored; None scores all.
        without: features of the tables that are left out.
        read: the rows of these settings, where they are in memory already; None reads them at the first use.
    """

    settings: DataSettings
    folder: Path
    validation: ValidationSettings
    view: str
    seed: int
    max_rows: int | None
    without: tuple[str, ...] = ()
    read: Panel | None = None

    @cached_property
    def panel(self) -> Panel:
        """All rows of the tables."""
        panel = self.read or Panel.read(prepare(self.settings, self.folder), self.settings)
        return panel.without(self.without) if self.without else panel

    @property
    def in_folds(self) -> bool:
        """Whether the run cross-validates."""
        return self.validation.method != "holdout"

    @property
    def synthetic(self) -> bool:
        """Whether the rows are of a synthetic market."""
        return is_synthetic(self.panel.prepared.card)

    @cached_property
    def folds(self) -> list[Fold]:
        """Folds of a cross-validation."""
        return folds(self.panel, self.validation)

    def holdout(self) -> TrendDataModule:
        """Build the examples of the tables' own split."""
        return TrendDataModule(self.panel, self.view, self.seed, self.max_rows)

    def fold(self, fold: Fold) -> TrendDataModule:
        """Build the examples of a fold."""
        max_rows = max_fold_examples(self.folds, self.max_rows)
        return TrendDataModule(self.panel.with_row_split(fold.row_split), self.view, self.seed, max_rows)

    def last(self) -> tuple[TrendDataModule, int | None]:
        """Build the examples of the last fit, and return the number of its fold; None for a holdout."""
        if not self.in_folds:
            return self.holdout(), None
        return self.fold(self.folds[-1]), self.folds[-1].number

    def check_digest(self, digest: str) -> None:
        """Raise unless the tables are those that a run was trained on.

        Raises:
            RunError: the tables have another digest.
        """
        if self.panel.prepared.digest != digest:
            raise RunError(
                f"the tables have digest {self.panel.prepared.digest}, the run was trained on {digest}: the files or "
                "the code that builds them changed since. Restore the files, or train again."
            )
