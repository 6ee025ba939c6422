"""API keys: read from a file or the environment, compared in constant time."""

import hashlib
import hmac
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from ste.errors import ConfigError

VARIABLE = "STE_API_KEYS"
"""Environment variable with keys, separated by commas."""
MIN_LENGTH = 16
"""Characters of a key."""
_HOW = "Make one with: python -c 'import secrets; print(secrets.token_urlsafe(32))'"


class ApiKeys:
    """Valid API keys; without any the service needs no key.

    Args:
        keys: keys as clients send them.
    """

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._digests = [hashlib.sha256(key.encode()).digest() for key in keys]

    def __bool__(self) -> bool:
        return bool(self._digests)

    def accept(self, authorization: bytes) -> bool:
        """Check an `Authorization: Bearer KEY` header, in a time that does not depend on the key."""
        scheme, _, key = authorization.partition(b" ")
        digest = hashlib.sha256(key.strip()).digest()
        accepted = False
        for valid in self._digests:
            accepted |= hmac.compare_digest(digest, valid)
        return accepted and scheme.lower() == b"bearer"


def read_keys(file: str | None, environment: Mapping[str, str] = os.environ) -> ApiKeys:
    """Read keys from a file, one per line, or from `STE_API_KEYS`.

    Args:
        file: path of the file; empty lines and lines that start with # are skipped. None reads the environment.
        environment: environment variables.

    Raises:
        ConfigError: the file cannot be read, has no key, or a key is too short or cannot be sent in a header. No
            message shows a key.
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
        return ApiKeys()
    if not keys:
        raise ConfigError(f"{where}: found no key. {_HOW}")
    for number, key in enumerate(keys, start=1):
        if len(key) < MIN_LENGTH or not key.isascii() or not key.isprintable() or " " in key:
            expected = f"Expected {MIN_LENGTH} or more ASCII characters without spaces."
            raise ConfigError(f"{where}: key {number} is invalid. {expected} {_HOW}")
    return ApiKeys(keys)
