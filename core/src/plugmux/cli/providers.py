"""`plugmux providers`: which providers there are, and what is wrong with them, if anything."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
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
    verdicts: dict[str, str] = {}
    if check:
        verdicts = checked(sorted({status.plugin for status in found}))
        found, unread = with_runtime(terminal, lambda runtime: _standing(runtime, verdicts))
    if as_json:
        objects = [as_plain(one) | {"verdict": _state(one, verdicts)} for one in found]
        terminal.answer("".join(map(line, objects)))
    elif found:
        show_table(terminal, HEADER, [_row(one, verdicts) for one in found])
        _say_problems(terminal, found, verdicts)
    else:
        terminal.note(with_runtime(terminal, _nobody), "yellow")
    for words in unread:
        terminal.note(words, "yellow")


async def _standing(
    runtime: Runtime, verdicts: Mapping[str, str] | None = None
) -> tuple[list[ProviderStatus], list[str]]:
    """How the providers are and which settings nobody reads. Those with a good verdict are loaded first."""
    from plugmux.standing import load, statuses, unread

    found = await statuses(runtime, check=False)
    await load(runtime, [one.name for one in found if (verdicts or {}).get(one.plugin) == "ok"])
    return found, unread(runtime)


async def _nobody(runtime: Runtime) -> str:
    blocked = ", ".join(runtime.registry.blocked())
    if blocked:
        return f"PLUGMUX_DISABLE blocks every provider that is installed: {blocked}"
    return "no provider plugin is installed; `plugmux install hf-inference` adds one"


def checked(plugins: Sequence[str]) -> dict[str, str]:
    """Load each plugin in a process of its own, side by side, and give what came of it: "ok", or why not."""
    arguments = [sys.executable, "-m", "plugmux.cli.checking"]
    null, pipe = subprocess.DEVNULL, subprocess.PIPE
    running = {
        name: subprocess.Popen([*arguments, name], stdin=null, stdout=pipe, stderr=null)  # noqa: S603
        for name in plugins
    }
    return {name: _verdict(process) for name, process in running.items()}


def _verdict(process: subprocess.Popen[bytes]) -> str:
    """What a process said of its plugin, or how it ended if it could not say."""
    with process:
        try:
            code = process.wait(CHECK_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return f"loading it did not end within {CHECK_SECONDS:g} s"
        if code not in (0, 4) or process.stdout is None:
            return f"loading it ended the interpreter (exit code {code})"
        return os.read(process.stdout.fileno(), 65536).decode()  # not to the end: a child of it may live on


def _state(status: ProviderStatus, verdicts: dict[str, str]) -> str:
    return verdicts.get(status.plugin) or status.verdict or "not loaded yet"


def _row(status: ProviderStatus, verdicts: dict[str, str]) -> tuple[str, ...]:
    state = _state(status, verdicts)
    return (
        status.name,
        status.distribution or status.plugin,
        status.version or "",
        state if state in ("ok", "not loaded yet") else "broken",
        "" if status.models is None else str(status.models),
        status.source or "",
    )


def _say_problems(terminal: Terminal, found: Sequence[ProviderStatus], verdicts: dict[str, str]) -> None:
    for status in found:
        state = _state(status, verdicts)
        if state not in ("ok", "not loaded yet"):
            terminal.note(f"{status.name}: {state}", "red")
        if status.problem:
            terminal.note(f"{status.name}: its list: {status.problem}", "yellow")
