"""`plugmux install` and `uninstall`: pip in the interpreter that runs plugmux.

No plugin is loaded here, so that a broken one can always be removed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec

import click

from plugmux.cli.exits import Exit
from plugmux.cli.terminal import Terminal
from plugmux.errors import ConfigurationError, InvalidInputError

__all__ = ["distribution_of", "install", "uninstall"]

PREFIX = "plugmux-"


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("-U", "--upgrade", is_flag=True, help="Take the newest version.")
@click.option("-e", "--editable", is_flag=True, help="NAME is a folder; use it in place.")
def install(names: tuple[str, ...], upgrade: bool, editable: bool) -> None:
    """Install plugins: `plugmux install hf-chat` installs plugmux-hf-chat.

    NAME may also be a folder, a wheel, or a URL.
    """
    terminal = Terminal.of_process()
    flags = ["--upgrade"] if upgrade else []
    wanted = [distribution_of(name) for name in names]
    if editable:
        wanted = [part for name in wanted for part in ("-e", name)]
    _run(terminal, ["install", *flags, *wanted])
    for line in _what_is_there(wanted):
        terminal.note(line, "green")


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def uninstall(names: tuple[str, ...], yes: bool) -> None:
    """Uninstall plugins, broken ones too. Where there is no terminal to ask on, -y is needed."""
    terminal = Terminal.of_process()
    wanted = [distribution_of(name) for name in names]
    if not yes:
        if not sys.stdin.isatty():
            raise InvalidInputError("needed where there is no terminal to ask on", field="-y")
        click.confirm(f"Uninstall {', '.join(wanted)}?", abort=True, err=True)
    _run(terminal, ["uninstall", "-y", *wanted])


def distribution_of(name: str) -> str:
    """What pip is to be asked for: `hf-inference` → `plugmux-hf-inference`.

    A version (`hf-inference==0.1`) and extras stay; what is a path, a wheel, a URL, or named `plugmux…`
    already is left as it is.
    """
    if "/" in name or "\\" in name or name.startswith(".") or name.endswith((".whl", ".tar.gz")):
        return name
    if re.match(r"[\w.-]+ ?@ ?\w+:", name):
        return name
    plain = name.replace("_", "-")
    return plain if re.match(r"plugmux(-|$|[=<>~!\[])", plain.lower()) else f"{PREFIX}{plain}"


def pip_command(arguments: Sequence[str]) -> list[str]:
    """The command line for pip, or uv where this interpreter has no pip. Raises ConfigurationError."""
    if find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    uv = shutil.which("uv")
    if uv is None:
        raise ConfigurationError(
            f"{sys.executable} has no pip; add it with `{sys.executable} -m ensurepip`, or install uv"
        )
    action, *rest = arguments
    return [uv, "pip", action, "--python", sys.executable, *(word for word in rest if word != "-y")]


def _run(terminal: Terminal, arguments: Sequence[str]) -> None:
    command = pip_command(arguments)
    terminal.note(f"$ {' '.join(command)}")
    ended = subprocess.run(command, stdout=terminal.err, check=False)  # noqa: S603  the user's own words
    if ended.returncode:
        terminal.error(f"{arguments[0]} failed; what pip says is above")
        raise SystemExit(Exit.FAILED)


def _what_is_there(wanted: Sequence[str]) -> list[str]:
    """Which providers the installed distributions bring, by their metadata alone."""
    from importlib import invalidate_caches
    from importlib.metadata import entry_points

    invalidate_caches()
    named = {_normal(re.split(r"[=<>~!\[ @]", name)[0]) for name in wanted}
    points = [p for p in entry_points(group="plugmux") if p.dist and _normal(p.dist.name) in named]
    return [
        f"provider {point.name}: {point.dist.name} {point.dist.version}" for point in points if point.dist
    ]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
