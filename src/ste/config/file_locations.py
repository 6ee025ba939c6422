"""Which files a path, folder or pattern means, and which ticker a file is named after."""

import difflib
import glob
import re
from pathlib import Path, PurePath

from ste.errors import DataError

_COMPRESSED = (".gz", ".zst", ".bz2", ".xz", ".zip")
_ENDINGS = (".csv", ".txt", ".tsv", ".dat", ".asc", ".parquet", ".pq", ".feather", ".arrow", ".ipc")
_NOT_DATA = re.compile(r"(readme|licen[cs]e|changelog)\b", re.I)
_NOISE = re.compile(
    r"daily|weekly|monthly|hist|historical|history|data|prices?|quotes?|ohlcv?|stocks?|bars|adjusted|max|1d|d1|download|"
    r"historicaldata|(historical-(data|prices|quotes)|hist)([-_]?\d+)*|\d{4}-?\d{2}-?\d{2}|\d{8,}|\(\d+\)|to",
    re.I,
)


def find_files(what: str, key: str = "data.bars") -> list[Path]:
    """Return the files of a path, folder or pattern, sorted; a store that is a folder is one.

    Args:
        what: as typed; `~` is the home folder.
        key: the setting, for messages.

    Raises:
        DataError: nothing is there.
    """
    path = Path(what).expanduser()
    if path.is_file() or is_store(path):
        return [path]
    if path.is_dir():
        found = sorted(one for one in path.rglob("*") if one.is_file() and is_data(one.relative_to(path)))
        if not found:
            raise DataError(
                f"{key}={what}: the folder holds no file with bars. Expected files ending in "
                f"{', '.join(_ENDINGS[:6])}, compressed or not."
            )
        return found
    if glob.has_magic(what):
        found = sorted(Path(one) for one in glob.glob(str(path), recursive=True) if Path(one).is_file())
        if found:
            return found
        raise DataError(f"{key}={what}: no file has such a name. Expected a pattern such as {key}='bars/*.csv'.")
    raise DataError(f"{key}={what}: no such file.{nearby(path)} Give a file, a folder or a pattern of files.")


def all_files(what: str, key: str = "data.bars") -> list[Path]:
    """Return the files of `find_files`, with every file of a store that is a folder."""
    found = find_files(what, key)
    return sorted(one for one in found[0].rglob("*") if one.is_file()) if found[0].is_dir() else found


def nearby(path: Path) -> str:
    """Return a sentence on the files next to a missing one."""
    folder = path.parent
    if not folder.is_dir():
        return f" There is no folder {folder}."
    names = sorted(p.name for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    near = difflib.get_close_matches(path.name, names, n=3, cutoff=0.5) or names[:6]
    return f" In {folder}: {', '.join(near)}." if near else f" There are no files in {folder.resolve()}."


def is_store(path: Path) -> bool:
    """Whether a folder is one store rather than a folder of files."""
    return (path / "calendars").is_dir() and (path / "features").is_dir()


def is_data(path: PurePath) -> bool:
    """Whether a file in a folder or archive holds data, by its name."""
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
    return not hidden and not _NOT_DATA.match(path.name) and _ending(path)[1] in (*_ENDINGS, *_COMPRESSED)


def stem_of(path: PurePath) -> str:
    """Return a file's name without its endings: `aapl.us` of `aapl.us.txt.gz`."""
    return _ending(path)[0]


def _ending(path: PurePath) -> tuple[str, str]:
    name = path.name
    suffix = PurePath(name).suffix.lower()
    if suffix in _COMPRESSED:
        name = name[: -len(suffix)]
        inner = PurePath(name).suffix.lower()
        return (name[: -len(inner)], suffix) if inner in _ENDINGS else (name, suffix)
    return (name[: -len(suffix)], suffix) if suffix in _ENDINGS else (name, suffix)


def ticker_of(where: str, stem: str) -> str:
    """Return the ticker that a file is named after, in capitals.

    Words that describe the content are left out: `IBM` of `daily_IBM`, `AAPL` of `aapl_historical-data-11-30-2026`. A
    folder `ticker=AAPL` names it too.

    Args:
        where: path of the file.
        stem: its name without endings.
    """
    partition = re.search(r"(?:^|/)(?:ticker|symbol)=([^/]+)/", where, re.I)
    if partition:
        return partition[1]
    words = [word for word in re.split(r"[ _]+", stem) if word]
    names = [word for word in words if not _NOISE.fullmatch(word)]
    return (names[0] if len(names) == 1 else stem.strip()).upper()
