"""`plugmux providers`: which providers there are, and what is wrong with them, if anything."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Container, Sequence
from typing import TYPE_CHECKING

import click

from plugmux.cli.terminal import Terminal

if TYPE_CHECKING:
    from plugmux.runtime import Runtime
    from plugmux.standing import ProviderStatus

__all__ = ["providers"]

HEADER = ("PROVIDER", "PLUGIN", "VERSION", "STATE", "MODELS", "FROM")
CHECK_SECONDS = 30.0


@click.command()
@click.option("--check", is_flag=True, help="Load each plugin, in a process of its own.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def providers(check: bool, as_json: bool) -> None:
    """List the providers. STATE is what came of a plugin when it was last loaded.

    Settings that nobody reads are named; those of a provider with --check, which asks it for their names.
    """
    from plugmux.cli.jsonlines import as_plain, line
    from plugmux.cli.running import with_runtime
    from plugmux.cli.tables import show_table

    terminal = Terminal.of_process()
    found, unread = with_runtime(terminal, _standing)
    crashed: dict[str, str] = {}
    if check:
        crashed = checked(sorted({status.plugin for status in found}))
        found, unread = with_runtime(terminal, lambda runtime: _standing(runtime, without=crashed))
    if as_json:
        objects = [as_plain(one) | {"verdict": _state(one, crashed)} for one in found]
        terminal.answer("".join(map(line, objects)))
    elif found:
        show_table(terminal, HEADER, [_row(one, crashed) for one in found])
        _say_problems(terminal, found, crashed)
    else:
        terminal.note("no provider plugin is installed; `plugmux install hf-inference` adds one", "yellow")
    for words in unread:
        terminal.note(words, "yellow")


async def _standing(
    runtime: Runtime, *, without: Container[str] | None = None
) -> tuple[list[ProviderStatus], list[str]]:
    """How the providers are and which settings nobody reads; `without`: load the others if they are sound."""
    from plugmux.standing import load_sound, statuses, unread

    found = await statuses(runtime, check=False)
    if without is not None:
        await load_sound(runtime, [one for one in found if one.plugin not in without])
    return found, unread(runtime)


def checked(plugins: Sequence[str]) -> dict[str, str]:
    """Load each plugin in a process of its own, side by side. Gives those that did not end well there
    and could not say why themselves; the others' verdicts are remembered."""
    arguments = [sys.executable, "-m", "plugmux.cli.checking"]
    silent = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    running = {name: subprocess.Popen([*arguments, name], **silent) for name in plugins}  # type: ignore[call-overload]  # noqa: S603
    found = {name: _crash(process) for name, process in running.items()}
    return {name: why for name, why in found.items() if why}


def _crash(process: subprocess.Popen[bytes]) -> str | None:
    try:
        code = process.wait(CHECK_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return f"loading it did not end within {CHECK_SECONDS:g} s"
    return None if code in (0, 4) else f"loading it ended the interpreter (exit code {code})"


def _state(status: ProviderStatus, crashed: dict[str, str]) -> str:
    return crashed.get(status.plugin) or status.verdict or "not loaded yet"


def _row(status: ProviderStatus, crashed: dict[str, str]) -> tuple[str, ...]:
    state = _state(status, crashed)
    return (
        status.name,
        status.distribution or status.plugin,
        status.version or "",
        state if state in ("ok", "not loaded yet") else "broken",
        "" if status.models is None else str(status.models),
        status.source or "",
    )


def _say_problems(terminal: Terminal, found: Sequence[ProviderStatus], crashed: dict[str, str]) -> None:
    for status in found:
        state = _state(status, crashed)
        if state not in ("ok", "not loaded yet"):
            terminal.note(f"{status.name}: {state}", "red")
        if status.problem:
            terminal.note(f"{status.name}: its list: {status.problem}", "yellow")
