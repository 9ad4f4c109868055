"""What is installed that concerns plugmux: its own version and the entry points of its groups.

importlib-metadata reads the metadata of every distribution to tell, which in a fresh process takes longer
than anything else before the first request. So the answer is kept on disk with a fingerprint of all metadata
folders, and read anew only when one of them came, went or changed.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import reduce
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from plugmux.cache import Cache

__all__ = ["Distribution", "EntryPoint", "Installed", "installed"]

KEPT_SECONDS = 30 * 24 * 3600.0


class Distribution(NamedTuple):
    """`requires` are requirement lines, as in its metadata."""

    name: str
    version: str
    requires: tuple[str, ...]


class EntryPoint(NamedTuple):
    """An entry point as importlib-metadata has it, as far as it is used; `value` is `module:attribute`."""

    name: str
    value: str
    group: str
    dist: Distribution

    def load(self) -> Any:
        """Import what it names. Raises whatever that raises."""
        module, _, attributes = self.value.partition("[")[0].partition(":")
        names = (name.strip() for name in attributes.split(".") if name.strip())
        return reduce(getattr, names, import_module(module.strip()))


class Installed(NamedTuple):
    """plugmux's own version, and every entry point of the group `plugmux` and of those below it."""

    version: str
    entry_points: tuple[Any, ...]
    """`EntryPoint`, or importlib-metadata's own where the metadata of one cannot be read."""

    def select(self, *, group: str) -> list[Any]:
        return [one for one in self.entry_points if one.group == group]


def installed(cache: Cache) -> Installed:
    """What is installed, from `cache` if nothing has changed since."""
    key, seen = f"installed {sys.prefix}", _fingerprint()
    kept = cache.get(key)
    if isinstance(kept, dict) and kept.get("fingerprint") == seen:
        with suppress(KeyError, TypeError, ValueError):
            return _restored(kept["installed"])
    version, points = _read()
    try:
        found = Installed(version, tuple(_plain(point) for point in points))
    except Exception:  # noqa: BLE001  a distribution without readable metadata: each point speaks for itself
        return Installed(version, tuple(points))
    cache.put(key, {"fingerprint": seen, "installed": found}, seconds=KEPT_SECONDS)
    return found


def _restored(kept: Any) -> Installed:
    version, rows = kept
    points = (
        EntryPoint(name, value, group, Distribution(owner, number, tuple(requires)))
        for name, value, group, (owner, number, requires) in rows
    )
    return Installed(str(version), tuple(points))


def _read() -> tuple[str, list[Any]]:
    import importlib_metadata

    found = importlib_metadata.entry_points()
    ours = [point for point in found if point.group.partition(".")[0] == "plugmux"]
    return importlib_metadata.version("plugmux"), ours


def _plain(point: Any) -> EntryPoint:
    owner = point.dist
    return EntryPoint(
        point.name,
        point.value,
        point.group,
        Distribution(owner.name, owner.version, tuple(owner.requires or ())),
    )


def _fingerprint() -> str:
    """Changes whenever a distribution is installed, removed or replaced, or the search path changes."""
    seen = repr((sys.version, sys.path, list(_metadata_ages())))
    return hashlib.sha256(seen.encode("utf-8", "surrogateescape")).hexdigest()


def _metadata_ages() -> Iterator[tuple[str, int]]:
    for folder in sys.path:
        try:
            with os.scandir(folder or ".") as entries:
                named = [one for one in entries if _is_metadata(one.name)]
                found = [(one.path, one.stat(follow_symlinks=False).st_mtime_ns) for one in named]
        except NotADirectoryError:
            found = [(folder, _age(Path(folder)))]  # a zip
        except OSError:
            continue
        for path, age in sorted(found):
            yield path, _age(Path(path, "entry_points.txt")) or age


def _is_metadata(name: str) -> bool:
    return name.endswith((".dist-info", ".egg-info"))


def _age(path: Path) -> int:
    """When it was last changed; 0 for what is not there."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
