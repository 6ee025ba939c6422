"""Which files a path, folder or pattern means."""

import difflib
import glob
import os
import re
from pathlib import Path, PurePath

from ste.errors import DataError

_COMPRESSED = (".gz", ".zst", ".bz2", ".xz", ".zip")
TEXT_ENDINGS = (".csv", ".txt", ".tsv", ".dat", ".asc")
_ENDINGS = (*TEXT_ENDINGS, ".parquet", ".pq", ".feather", ".arrow", ".ipc")
_NOT_DATA = re.compile(r"(readme|licen[cs]e|changelog)\b", re.I)
_HIDDEN = (".", "__MACOSX")


def find_files(what: str, key: str = "data.bars") -> list[Path]:
    """Return the files of a path, folder or pattern, sorted; a store that is a folder is one.

    Args:
        what: as typed; `~` is the home folder.
        key: the setting, for messages.

    Raises:
        DataError: nothing is there.
    """
    if re.match(r"\w+://", what):
        raise DataError(f"{key}={what}: is an address. Expected files on this machine; download them first.")
    try:
        path = Path(what).expanduser()
        return _found(path, what, key)
    except (OSError, RuntimeError) as error:  # a name that is too long, no permission, a user without a home folder
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{key}={what}: cannot be read ({reason}). Give a file, a folder or a pattern.") from None


def find_file(what: str, key: str) -> Path:
    """Return the path of one file.

    Args:
        what: as typed; `~` is the home folder.
        key: the setting, for messages.

    Raises:
        DataError: it is no file.
    """
    remedy = "Give the path of a CSV or Parquet file."
    try:
        path = Path(what).expanduser()
        if path.is_file():
            return path
        found = "is a folder." if path.is_dir() else f"no such file.{nearby(path)}"
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{key}={what}: cannot be read ({reason}). {remedy}") from None
    raise DataError(f"{key}={what}: {found} {remedy}")


def _found(path: Path, what: str, key: str) -> list[Path]:
    if path.is_file() or is_store(path):
        return [path]
    if path.is_dir():
        found = [one for one in _files_below(path) if is_data(one.relative_to(path))]
        if not found:
            raise DataError(
                f"{key}={what}: the folder holds no file with bars. Expected files ending in "
                f"{', '.join(_ENDINGS[:6])}, compressed or not."
            )
        return found
    if glob.has_magic(what):
        matching = sorted(Path(one) for one in glob.glob(str(path), recursive=True) if Path(one).is_file())
        if matching:
            return list({one.resolve(): one for one in reversed(matching)}.values())[::-1]  # links lead to one twice
        raise DataError(f"{key}={what}: no file has such a name. Expected a pattern such as {key}='bars/*.csv'.")
    if path.exists():
        raise DataError(f"{key}={what}: is no file on disk, such as a pipe. Write its content to a file and give that.")
    raise DataError(f"{key}={what}: no such file.{nearby(path)} Give a file, a folder or a pattern of files.")


def unread_files(what: str) -> list[Path]:
    """Return the files of a folder that `find_files` leaves out by their names, hidden ones aside, sorted."""
    path = Path(what).expanduser()
    if not path.is_dir() or is_store(path):
        return []
    return [one for one in _files_below(path, broken=True) if not is_data(one.relative_to(path)) or not one.is_file()]


def _refuse(error: OSError) -> None:
    """Raise the error of a folder that cannot be listed, which `os.walk` would pass over."""
    raise error


def _files_below(folder: Path, *, broken: bool = False) -> list[Path]:
    """Return the files of a folder, sorted, through links to other folders but into each folder once."""
    seen, out = set(), []
    for name, folders, files in os.walk(folder, followlinks=True, onerror=_refuse):
        real = os.path.realpath(name)
        folders[:] = sorted(one for one in folders if not one.startswith(_HIDDEN)) if real not in seen else []
        if real in seen:
            continue
        seen.add(real)
        paths = (Path(name, file) for file in files if not file.startswith(_HIDDEN))
        out += [path for path in paths if broken or path.is_file()]
    return sorted(out)


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
    hidden = any(part.startswith(_HIDDEN) for part in path.parts)
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
