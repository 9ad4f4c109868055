"""Commands that plugins bring: entry points of the group `plugmux.commands`, each a click command.

    [project.entry-points."plugmux.commands"]
    space = "plugmux_hf_space.commands:space"

Nothing is imported before its command is called; one that fails then is named, and the others go on. What
it prints when it is imported goes to standard error.
"""

from __future__ import annotations

import sys
from collections.abc import Container, Iterable
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

import click

from plugmux.errors import PluginError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["GROUP", "PluginCommands"]

GROUP = "plugmux.commands"


class PluginCommands:
    """The commands of installed plugins. None takes the place of those named in `own`."""

    def __init__(self, own: Container[str] = (), found: Iterable[EntryPoint] | None = None) -> None:
        points = _installed() if found is None else found
        self._points: dict[str, dict[str, EntryPoint]] = {}
        for point in points:
            if point.name not in own:
                self._points.setdefault(point.name, {})[_distribution(point)] = point

    def names(self) -> list[str]:
        return sorted(self._points)

    def origins(self) -> dict[str, str]:
        """Which distribution each command is from."""
        return {name: " and ".join(sorted(self._points[name])) for name in self.names()}

    def load(self, name: str) -> click.Command | None:
        """The command, or None if nobody has it. Raises PluginError if it cannot be imported."""
        found = self._points.get(name)
        if found is None:
            return None
        if len(found) > 1:
            owners = sorted(found)
            remedy = f"uninstall one: plugmux uninstall {owners[0]}"
            raise PluginError(f"{' and '.join(owners)} both bring it", plugin=name, remedy=remedy)
        ((owner, point),) = found.items()
        return _imported(name, owner, point)


def _imported(name: str, owner: str, point: EntryPoint) -> click.Command:
    remedy = f"update or uninstall it: plugmux uninstall {owner}"
    try:
        with redirect_stdout(sys.stderr):
            command = point.load()
    except (Exception, SystemExit) as error:
        said = f"its command {name!r} cannot be imported: {type(error).__name__}: {error}"
        raise PluginError(said, plugin=owner, remedy=remedy) from error
    if not isinstance(command, click.Command):
        raise PluginError(f"{point.value} is not a click command", plugin=owner, remedy=remedy)
    return command


def _installed() -> Iterable[EntryPoint]:
    from importlib.metadata import entry_points

    return entry_points(group=GROUP)


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.module.partition(".")[0]
