"""Match tickers that two files spell differently: `BRK.B` and `BRK-B`, `snap` and `SNAP`."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable


def match_names(names: Iterable[str], known: Collection[str]) -> dict[str, str]:
    """Return the ticker that each name means.

    A name that is spelled alike is that ticker. Another one is the ticker that differs in case and punctuation alone,
    if there is only one.

    Args:
        names: of one file.
        known: tickers of the other.
    """
    names = set(names)
    exact = names & set(known)
    out = {name: name for name in exact}
    by_letters = defaultdict(list)
    for name in known:
        by_letters[_letters(name)].append(name)
    for name in sorted(names - exact):
        meant = by_letters.get(_letters(name), [])
        if len(meant) == 1 and meant[0] not in exact:
            out[name] = meant[0]
    return out


def spelled_twice(names: Iterable[str]) -> list[tuple[str, str]]:
    """Return pairs of tickers that differ in case and punctuation alone."""
    by_letters = defaultdict(list)
    for name in sorted(names):
        by_letters[_letters(name)].append(name)
    return [(one[0], one[1]) for one in by_letters.values() if len(one) > 1]


def _letters(name: str) -> str:
    return re.sub(r"[\s._/^-]", "", name).upper()
