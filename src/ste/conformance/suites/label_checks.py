"""Checks of a label method: classes, returns and ends, and that no label knows more than its end."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from ste.config.config_files import group_files
from ste.conformance.component_checks import SUITES, Check, NotApplicable, expect
from ste.labels.label_check import COMPUTED, OWN_TICKER, RULES, LabelFault, check_label, class_counts
from ste.registry import LABELS
from ste.schema import TREND_NAMES

_HORIZONS = (1, 4, 13, 52)


def label_checks(name: str) -> list[Check]:
    """Return the checks of a label method with its default arguments."""
    label = LabelUnderTest(name)
    return [*(Check(rule, label.keeps(rule)) for rule in RULES), Check("several classes occur", label.classes)]


class LabelUnderTest:
    """A label method on random bars.

    The horizon is that of a file `conf/labels/NAME.yaml`, else the shortest of some that holds every label.

    Args:
        name: in `LABELS`.
    """

    def __init__(self, name: str) -> None:
        self.name, self.method = name, LABELS[name]
        file = group_files("train", "labels").get(name)
        values = {} if file is None else yaml.safe_load(Path(file).read_text(encoding="utf-8")) or {}
        self.values: dict[str, Any] = {key: value for key, value in values.items() if key not in ("method", "defaults")}

    @cached_property
    def found(self) -> tuple[int, list[LabelFault]]:
        """The horizon, and the rules that it breaks."""
        given = dict(self.values)
        horizons = (int(given.pop("horizon")),) if "horizon" in given else _HORIZONS
        classes = int(given.pop("classes", 3))
        for horizon in horizons:
            faults = check_label(self.name, given, horizon=horizon, classes=classes)
            if not any(fault.rule == COMPUTED for fault in faults):
                break
        return horizon, faults

    def keeps(self, rule: str) -> Callable[[], str]:
        """Return the check of a rule."""

        def run() -> str:
            horizon, faults = self.found
            failed = {fault.rule: fault.found for fault in faults}
            if rule != COMPUTED and COMPUTED in failed:
                raise NotApplicable("there are no labels")
            if rule == OWN_TICKER and getattr(self.method, "needs_all_rows", False):
                raise NotApplicable("it compares tickers")
            expect(rule not in failed, failed.get(rule, ""))
            return f"data.labels.horizon={horizon}" if rule == COMPUTED else ""

        return run

    def classes(self) -> str:
        """Check the fractions of the classes."""
        horizon, faults = self.found
        if any(fault.rule == COMPUTED for fault in faults):
            raise NotApplicable("there are no labels")
        counts = class_counts(self.name, {**self.values, "horizon": horizon})
        total = sum(counts.values())
        text = ", ".join(f"{name} {100 * count / total:.0f} %" for name, count in counts.items())
        occur = [name for name, count in counts.items() if count and name in TREND_NAMES[5]]
        expect(len(occur) > 1, f"{text}: expected two classes at least")
        return text


SUITES.add("label", label_checks)
