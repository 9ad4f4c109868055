"""Small JSON values on disk with a time to live: replaced atomically, ignored when damaged."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["SCHEMA", "Cache", "write_private"]

SCHEMA = 2


class Cache:
    """One folder of values. `folder` None keeps nothing.

    A file holds `schema`, `key`, `expires_at` (seconds since the epoch) and `value`. What is unreadable,
    of another schema or another key reads as absent. Damaged files are set aside with a word in the log;
    `damaged` has their paths.
    """

    def __init__(self, folder: Path | None, *, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._clock = clock
        self.damaged: list[Path] = []

    def get(self, key: str, *, stale: bool = False) -> Any:
        """The value, or None if absent or expired. `stale=True` gives an expired one too."""
        path = self._path(key)
        if path is None:
            return None
        try:
            entry = json.loads(path.read_bytes())
            if entry["schema"] != SCHEMA or entry["key"] != key:
                return None
            fresh = float(entry["expires_at"]) > self._clock()
            return entry["value"] if fresh or stale else None
        except (FileNotFoundError, NotADirectoryError):  # /dev/null is the home of some daemons
            return None
        except (OSError, ValueError, KeyError, TypeError, RecursionError, OverflowError):
            self._set_aside(path)
            return None

    def put(self, key: str, value: Any, *, seconds: float) -> None:
        """Keep a JSON value for `seconds`. A folder that cannot be written keeps nothing."""
        path = self._path(key)
        if path is None:
            return
        expires_at = self._clock() + seconds
        entry = {"schema": SCHEMA, "key": key, "expires_at": expires_at, "value": value}
        with contextlib.suppress(OSError):
            write_private(path, json.dumps(entry, separators=(",", ":")).encode())

    def delete(self, key: str) -> None:
        path = self._path(key)
        if path is not None:
            with contextlib.suppress(OSError):
                path.unlink()

    def _set_aside(self, path: Path) -> None:
        """Keep a damaged file out of the way, and say so."""
        import logging

        self.damaged.append(path)
        with contextlib.suppress(OSError):
            path.replace(path.with_suffix(".damaged"))
        logging.getLogger("plugmux").warning("the cache file %s is damaged; it is set aside", path)

    def _path(self, key: str) -> Path | None:
        if self._folder is None:
            return None
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"


def write_private(path: Path, content: bytes) -> None:
    """Replace a file atomically, readable by its owner only (0600), its folder made if need be."""
    import tempfile

    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise
