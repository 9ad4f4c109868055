"""Finding plugins by their entry points: from metadata alone, without importing any."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from plugmux.versions import required_range, satisfies

__all__ = ["KNOWN_DISTRIBUTIONS", "Found", "find"]

PLUGINS = "plugmux"
EXTENSIONS = "plugmux.extensions"
KNOWN_DISTRIBUTIONS = {
    "hf-inference": "plugmux-hf-inference",
    "hf-chat": "plugmux-hf-chat",
    "hf-media": "plugmux-hf-media",
    "hf-space": "plugmux-hf-space",
}


class Found(NamedTuple):
    """An entry point as its metadata tells it. `problem` is why it will not be loaded."""

    name: str
    target: str
    distribution: str
    version: str
    entry_point: Any
    problem: str | None = None
    remedy: str = ""


def find(own_version: str, *, entry_points: Any) -> tuple[dict[str, Found], dict[str, Found]]:
    """All providers and all extensions by name, without importing any."""
    plugins = _by_name(entry_points.select(group=PLUGINS), own_version)
    extensions = _by_name(entry_points.select(group=EXTENSIONS), own_version)
    return plugins, extensions


def _by_name(entry_points: Iterable[Any], own_version: str) -> dict[str, Found]:
    found: dict[str, Found] = {}
    for entry_point in entry_points:
        one = _found(entry_point, own_version)
        other = found.get(one.name)
        if other is None or other.distribution == one.distribution:
            found[one.name] = other or one
            continue
        problem = f"two distributions bring it: {other.distribution} and {one.distribution}"
        found[one.name] = Found(
            name=one.name,
            target=one.target,
            distribution=f"{other.distribution}, {one.distribution}",
            version="",
            entry_point=None,
            problem=problem,
            remedy=f"uninstall one: plugmux uninstall {one.distribution}",
        )
    return found


def _found(entry_point: Any, own_version: str) -> Found:
    try:
        return _described(entry_point, own_version)
    except Exception as error:  # noqa: BLE001  metadata may lack anything
        return Found(
            name=entry_point.name,
            target=entry_point.value,
            distribution="?",
            version="",
            entry_point=None,
            problem=f"its metadata cannot be read ({type(error).__name__})",
            remedy="install it anew",
        )


def _described(entry_point: Any, own_version: str) -> Found:
    distribution = entry_point.dist
    name = (distribution.name if distribution else None) or "?"
    wanted = required_range(distribution.requires or ()) if distribution else None
    problem, remedy = None, ""
    if wanted is not None and not satisfies(own_version, wanted):
        problem = f"{name} wants plugmux{wanted}, and this is plugmux {own_version}"
        remedy = f"pip install --upgrade plugmux {name}"
    return Found(
        name=entry_point.name,
        target=entry_point.value,
        distribution=name,
        version=(distribution.version if distribution else None) or "",
        entry_point=entry_point,
        problem=problem,
        remedy=remedy,
    )
