"""Settings of `python -m ste.predict`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Predicate

from ste.config.data_settings import MarketFiles
from ste.config.run_settings import StoreSettings
from ste.config.validation import Expect, FileName, Name, PositiveFloat, PositiveInt
from ste.errors import check_name
from ste.registry import PORTFOLIOS
from ste.schema import MARKET_COLUMNS

ENDINGS = (".csv", ".csv.gz", ".parquet")


def _is_output(path: str) -> bool:
    return path.endswith(ENDINGS) or (bool(path) and not Path(path).suffix)


_OUTPUT = Expect(f"a file ending in {', '.join(ENDINGS)}, or a folder", "predictions.csv")
Output = Annotated[str, Predicate(_is_output), _OUTPUT]


@dataclass
class PredictSettings(MarketFiles, StoreSettings):
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
        positions: CSV file of the positions that follow from the newest predictions; None writes none.
        portfolio: that chooses them: `long_short`, `long_only`, `topk`, `optimized`, or a plugin's.
        portfolio_arguments: of the portfolio, such as `k` of `topk`.
        execution: price at which they enter: `next_open` or `next_close` of the next session, or `same_close`.
        capital: dollars, for numbers of shares at the last price of the bars; None gives weights alone.
        cluster: where the workers run: None is this machine, `ray` a Ray cluster (docs/scale.md).
    """

    model: Annotated[str, Predicate(bool), Expect("a file or a run")] = "champion"
    input: str | None = None
    output: Output = ""
    rejects: str | None = None
    latest: bool = False
    threads: PositiveInt = 1
    workers: PositiveInt = 1
    cluster: Literal["ray"] | None = None
    positions: FileName | None = None
    portfolio: Name = "long_short"
    portfolio_arguments: dict[str, Any] = field(default_factory=dict)
    execution: Literal["next_open", "next_close", "same_close"] = "next_open"
    capital: PositiveFloat | None = None

    def check(self) -> None:
        """Check the files against each other, and that a table can be divided among workers."""
        one = (self.input is None) != (self.bars is None)
        self.require(one, "input", "a table, or daily bars as bars=FILE, one of the two", example="table.csv")
        super().check()
        known = self.rejects is None or self.rejects.endswith(".csv")
        self.require(known, "rejects", "a file ending in .csv", example="rejects.csv")
        self.require(not self.latest or self.bars is not None, "latest", "bars=FILE next to it", example="false")
        self._check_positions()
        key = "workers" if self.workers > 1 else "cluster"
        possible = not self.distributed or self.input is not None
        self.require(possible, key, "input=FILE next to it: one process reads bars", example="null")

    def _check_positions(self) -> None:
        """Check what positions are made of, before anything is predicted."""
        csv = self.positions is None or self.positions.endswith(".csv")
        self.require(csv, "positions", "a file ending in .csv", example="positions.csv")
        sized = self.capital is None or (self.positions is not None and self.bars is not None)
        self.require(sized, "capital", "positions=FILE and bars=FILE next to it, for prices", example="null")
        if self.positions is None:
            return
        check_name("portfolio", self.portfolio, PORTFOLIOS)
        PORTFOLIOS.build(self.portfolio, self.portfolio_arguments, "portfolio_arguments")
        weighed = self.portfolio != "optimized" or self.bars is not None
        self.require(weighed, "portfolio", "bars=FILE next to it, by which it weighs risks", example="long_short")

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
        """Return the given input files by setting."""
        return self.given(("input", *MARKET_COLUMNS)) | self.extra_files()
