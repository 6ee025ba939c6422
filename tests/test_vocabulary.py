"""Words of the private vocabulary that do not come back. `python tests/test_vocabulary.py PATH...` lists them."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("src", "conf", "benchmarks", "studies", "docs")
SUFFIXES = {".py", ".yaml", ".md", ".html", ".js", ".css", ".txt"}
RETIRED = re.compile(
    r"""(?<![a-z])(
        chances | company | beside | said | says | told | tells | kept | learnt | begun | began | anew | mend | mended
        | whoever | helping | helped | (?<=gone[ ])on[ ]with | (?<=go[ ])on[ ]with | (?<=a[ ])person | (?<=made[ ])one
        | further[ ]process(es)?
    )(?![a-z])""",
    re.VERBOSE,
)


def files(*under: str) -> list[Path]:
    roots = [ROOT / name for name in under or FOLDERS]
    found = [path for root in roots for path in ([root] if root.is_file() else root.rglob("*"))]
    return sorted({path for path in found if path.suffix in SUFFIXES})


def words(text: str) -> str:
    """Text with identifiers taken apart, in lower case: `keptMonitor` and `KEPT_monitor` hold `kept`."""
    return re.sub(r"([a-z])([A-Z])", r"\1 \2", text).replace("_", " ").lower()


def retired_words(path: Path) -> list[str]:
    out = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        out += [f"{path.relative_to(ROOT)}:{number}: {found[0]}" for found in RETIRED.finditer(words(line))]
    return out


def test_the_pattern_finds_what_it_looks_for():
    found = ["self.chances = 1", "KeptMonitor", "_began", "the row beside it", "go on with it", "a person", "made one"]
    assert all(RETIRED.search(words(text)) for text in found)
    assert not any(RETIRED.search(words(text)) for text in ("companies", "besides", "amend", "keeping", "recommended"))


def test_there_are_files_to_look_at():
    assert len(files()) > 300


@pytest.mark.parametrize("path", [ROOT / "README.md", *files()], ids=lambda path: str(path.relative_to(ROOT)))
def test_no_retired_word(path: Path):
    assert retired_words(path) == []
    assert not RETIRED.search(words(path.stem)), path


if __name__ == "__main__":
    for line in [line for path in files(*sys.argv[1:]) for line in retired_words(path)]:
        print(line)
