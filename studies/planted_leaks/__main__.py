"""The table of planted leaks in docs/audit.md: `python -m studies.planted_leaks`.

    python -m studies.planted_leaks --market FOLDER       each leak in synthetic and real data, and what is named
    python -m studies.planted_leaks --clean --market FOLDER     sixty clean tables: every alarm there is a false one

FOLDER holds bars, news, macro and policy files (docs/files.md); without it only synthetic data is used. Exit code 1
where a leak is missed without a reason, or a clean table raises an alarm.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from zlib import crc32

import numpy as np
import pandas as pd

import studies.planted_leaks.columns
import studies.planted_leaks.rows
import studies.planted_leaks.sources  # noqa: F401 - registers its leaks
from ste.leakage.audit_table import AuditTable
from ste.leakage.check_result import CheckResult
from ste.leakage.panel_checks import fitted_checks, table_checks
from ste.leakage.suite import audit
from ste.market.sources import Market
from studies.planted_leaks import bases
from studies.planted_leaks.leak import LEAKS, Leak

ALARM, NOTE, MISSED = "named", "note", "missed"


def result_of(leak: Leak, results: Sequence[CheckResult]) -> tuple[str, str]:
    """How the audit names a leak (`named`, `note` or `missed`), and the check that does."""
    for result in results:
        if any(text in alarm.where for alarm in result.alarms for text in leak.where):
            return ALARM, result.check
    for result in results:
        if any(text in note for note in result.notes for text in leak.where):
            return NOTE, result.check
    return MISSED, ""


def audited_table(leak: Leak, rows: pd.DataFrame) -> list[CheckResult]:
    """Plant a leak in a table's rows and run the checks of tables."""
    assert leak.plant is not None
    planted = leak.plant(rows, np.random.default_rng(crc32(leak.name.encode())))
    table = AuditTable(planted, horizon=leak.horizon)
    results = table_checks(table)
    return [*results, *fitted_checks(table, results, 0)]


def audited_market(leak: Leak, market: Market, real: bool) -> list[CheckResult]:
    """Plant a leak in a market's sources, write them and audit the files."""
    assert leak.sources is not None
    planted = leak.sources(market, np.random.default_rng(crc32(leak.name.encode())))
    with tempfile.TemporaryDirectory(prefix="leaks") as name:
        folder = Path(name)
        settings = bases.market_settings(planted, folder, bases.SPLIT_DATES if real else None)
        return list(audit(settings, folder / "tables", shuffles=0).results)


def planted(folder: str | None, only: list[str]) -> int:
    """Audit every leak and print the table; the number that is missed without a reason."""
    markets = {"synthetic": bases.synthetic_market()} | ({"real": bases.real_market(folder)} if folder else {})
    tables = {"synthetic": bases.rows_of(bases.SYNTHETIC)}
    if folder:
        tables["real"] = bases.rows_of(bases.real_settings(folder))
    print("| leak | from |", " | ".join(f"{base} data" for base in tables), "| check |")
    print("|---|---|", "---|" * len(tables), "---|", sep="")
    unexplained, counts = 0, {base: dict.fromkeys((ALARM, NOTE, MISSED), 0) for base in tables}
    for leak in LEAKS.items:
        if not any(text in leak.name for text in only):
            continue
        cells, checks = [], []
        for base, rows in tables.items():
            with redirect_stderr(StringIO()):
                if leak.plant:
                    results = audited_table(leak, rows)
                else:
                    results = audited_market(leak, markets[base], base == "real")
            word, check = result_of(leak, results)
            counts[base][word] += 1
            unexplained += word == MISSED and not leak.missed
            cells.append(word)
            checks += [check] if check else []
        why = ", ".join(dict.fromkeys(checks))
        why += f"; missed: {leak.missed}" if MISSED in cells and leak.missed else ""
        print(f"| {leak.name} | {leak.origin} | {' | '.join(cells)} | {why.removeprefix('; ')} |", flush=True)
    for base, count in counts.items():
        print(f"\n{base} data: {', '.join(f'{n} {word}' for word, n in count.items())}")
    return unexplained


def clean(folder: str | None, only: list[str]) -> int:
    """Audit the clean sources and print their alarms; the number of alarms."""
    alarms = count = 0
    for name, settings in bases.clean_settings(folder):
        if not any(text in name for text in only):
            continue
        with tempfile.TemporaryDirectory(prefix="leaks") as tables, redirect_stderr(StringIO()):
            report = audit(settings, Path(tables))
        count += 1
        alarms += len(report.alarms)
        found = "; ".join(f"{one.check}: {one.where}" for one in report.alarms) or "no alarm"
        print(f"{count:>3} {name}: {found}", flush=True)
    print(f"{alarms} false alarms in {count} clean tables")
    return alarms


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study; 0 where nothing is missed without a reason and nothing clean raises an alarm."""
    parser = argparse.ArgumentParser(prog="python -m studies.planted_leaks", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--market", help="folder with bars, news, macro and policy files of a real market")
    parser.add_argument("--clean", action="store_true", help="audit clean tables instead")
    parser.add_argument("--only", nargs="+", default=[""], help="leaks or clean tables whose name contains this")
    given = parser.parse_args(arguments)
    return int((clean if given.clean else planted)(given.market, given.only) > 0)


if __name__ == "__main__":
    sys.exit(main())
