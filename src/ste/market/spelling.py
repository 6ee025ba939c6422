"""Match tickers that two files spell differently: `BRK.B` and `BRK-B`, `snap` and `SNAP`."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable

from ste.errors import DataError


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


class Spellings:
    """Tickers of a file that complements bars, matched with the bars' in blocks.

    Args:
        kind: setting that names the file.
        names: tickers of the file.
    """

    def __init__(self, kind: str, names: Iterable[str]) -> None:
        self._kind, self._names = kind, set(names)
        self.matched: dict[str, str] = {}

    def match(self, known: Collection[str]) -> dict[str, str]:
        """Return the ticker that each name means among those of a block of bars; a name without bars is left out."""
        found = match_names(self._names, known)
        for name, ticker in found.items():
            if name not in self.matched or name == ticker:
                self.matched[name] = ticker
        return found

    def finish(self, known: Collection[str]) -> list[str]:
        """Return the names without bars, sorted.

        Args:
            known: tickers of all bars.

        Raises:
            DataError: a name fits several tickers, so that its meaning depends on the block.
        """
        every = match_names(self._names, known)
        for name, ticker in sorted(self.matched.items()):
            if every.get(name) != ticker:
                raise DataError(
                    f"data.{self._kind}: the ticker {name} may be {ticker} or another one of the bars that differs in "
                    "spelling alone. Spell it as the bars do."
                )
        return sorted(self._names - set(self.matched))

    def statements(self) -> list[str]:
        """Return which names are spelled unlike the bars' tickers, in at most one sentence."""
        other = [(name, ticker) for name, ticker in sorted(self.matched.items()) if name != ticker]
        if not other:
            return []
        more = f" ({len(other):,} tickers are spelled otherwise)" if len(other) > 1 else ""
        return [f"{self._kind}: {other[0][0]} is read as {other[0][1]}{more}"]


def spelled_twice(names: Iterable[str]) -> list[tuple[str, str]]:
    """Return pairs of tickers that differ in case and punctuation alone."""
    by_letters = defaultdict(list)
    for name in sorted(names):
        by_letters[_letters(name)].append(name)
    return [(one[0], one[1]) for one in by_letters.values() if len(one) > 1]


def _letters(name: str) -> str:
    return re.sub(r"[\s._/^-]", "", name).upper()
