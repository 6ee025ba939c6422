"""API keys: read from a file or the environment, compared in constant time."""

import hashlib
import hmac
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from ste.errors import ConfigError

VARIABLE = "STE_API_KEYS"
"""Environment variable with keys, separated by commas."""
SHORTEST = 16
"""Characters of a key."""
_HOW = "Make one with: python -c 'import secrets; print(secrets.token_urlsafe(32))'"


class Keys:
    """Keys that open the service; without any it is open.

    Args:
        keys: as clients send them.
    """

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._digests = [hashlib.sha256(key.encode()).digest() for key in keys]

    def __bool__(self) -> bool:
        return bool(self._digests)

    def opens(self, authorization: bytes | None) -> bool:
        """Whether an `Authorization: Bearer KEY` header holds one of the keys, at a time that does not depend on it."""
        scheme, _, given = (authorization or b"").partition(b" ")
        digest = hashlib.sha256(given.strip()).digest()
        found = False
        for known in self._digests:
            found |= hmac.compare_digest(digest, known)
        return found and scheme.lower() == b"bearer"


def read_keys(file: str | None, environment: Mapping[str, str] = os.environ) -> Keys:
    """Keys of a file, one per line, or of `STE_API_KEYS`.

    Args:
        file: its lines that are empty or start with # are left out.
        environment: where there is no file.

    Raises:
        ConfigError: no such file, no key in it, or a key that is short or cannot be sent in a header. No message
            shows a key.
    """
    if file is not None:
        where = f"keys_file={file}"
        try:
            lines = Path(file).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not a text file"
            raise ConfigError(f"{where}: cannot be read ({reason}). Expected a file with one key per line.") from None
        keys = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    elif VARIABLE in environment:
        where = VARIABLE
        keys = [key.strip() for key in environment[VARIABLE].split(",") if key.strip()]
    else:
        return Keys()
    if not keys:
        raise ConfigError(f"{where}: there is no key in it. {_HOW}")
    for number, key in enumerate(keys, start=1):
        if len(key) < SHORTEST or not key.isascii() or not key.isprintable() or " " in key:
            expected = f"Expected {SHORTEST} or more ASCII characters without spaces."
            raise ConfigError(f"{where}: key {number} is not one. {expected} {_HOW}")
    return Keys(keys)
