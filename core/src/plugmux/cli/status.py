"""`plugmux status`: the health of every candidate that was tried."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from plugmux.cli.terminal import Terminal

if TYPE_CHECKING:
    from plugmux.health import CandidateHealth
    from plugmux.runtime import Runtime

__all__ = ["status"]

HEADER = ("PROVIDER", "UPSTREAM", "MODEL", "STATE", "FIRST TOKEN", "SERVED", "FAILED", "LAST ERROR")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def status(as_json: bool) -> None:
    """Show who served, who failed, how fast, who is given a rest, and which settings nobody reads."""
    from plugmux.cli.jsonlines import as_plain, line
    from plugmux.cli.running import with_runtime
    from plugmux.cli.tables import show_table

    terminal = Terminal.of_process()
    found, unread = with_runtime(terminal, _health)
    if as_json:
        terminal.answer("".join(line(as_plain(one)) for one in found))
    elif found:
        show_table(terminal, HEADER, [_row(one) for one in found])
    else:
        terminal.note("nothing was tried yet")
    for words in unread:
        terminal.note(words, "yellow")


async def _health(runtime: Runtime) -> tuple[list[CandidateHealth], list[str]]:
    from plugmux.standing import unread

    return runtime.health.report(), unread(runtime)


def _row(one: CandidateHealth) -> tuple[str, ...]:
    return (
        one.provider,
        one.upstream or "",
        one.remote_id,
        "resting" if one.resting else "ready",
        "" if one.latency is None else f"{one.latency:.2f} s",
        str(one.served),
        str(one.failed),
        one.last_error or "",
    )
