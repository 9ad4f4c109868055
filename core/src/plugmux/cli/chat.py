"""`plugmux chat`: a conversation in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from plugmux.cli.terminal import Terminal

if TYPE_CHECKING:
    from plugmux.cli.talking import Talk

__all__ = ["chat"]


@click.command()
@click.option(
    "-m", "--model", "models", multiple=True, metavar="MODEL", help="The model; again for the next."
)
@click.option("-s", "--system", metavar="TEXT", help="Instructions to the model.")
@click.option("-o", "--option", "options", multiple=True, metavar="KEY=VALUE", help="A request option.")
@click.option("--policy", "policies", multiple=True, metavar="KEY=VALUE", help="How to route; order=a,b.")
@click.option("-p", "--provider", "providers", multiple=True, metavar="NAME", help="Ask only this provider.")
@click.option("-c", "going_on", is_flag=True, help="Go on with the last chat.")
@click.option("-q", "--quiet", is_flag=True, help="No reasoning, progress or notices.")
@click.option("-v", "--verbose", is_flag=True, help="Say who was tried, and what it took.")
def chat(models: tuple[str, ...], system: str | None, going_on: bool, **given: Any) -> None:
    """Talk with a model. Ctrl-C stops an answer, Ctrl-D or /quit ends the chat; /help says the rest.

    Entries may also be piped in, one a line; then the exit code is that of the last one.
    """
    from plugmux.cli.chat_input import ChatInput
    from plugmux.cli.running import OpenClient
    from plugmux.cli.talking import Talk

    terminal = Terminal.of_process()
    with OpenClient(terminal) as opened, ChatInput(terminal, opened.settings.home) as entries:
        talk = Talk(terminal, opened, models=models, **given)
        if going_on:
            talk.go_on()
        if system is not None:
            talk.instruct(system)
        if entries.interactive:
            talk.greet()
        _converse(talk, entries, terminal)


def _converse(talk: Talk, entries: Any, terminal: Terminal) -> None:
    """Entry by entry, until the end of the input or /quit."""
    while not talk.ended:
        try:
            entry = entries.read()
        except EOFError:
            break
        except KeyboardInterrupt:
            terminal.note("\n(Ctrl-D or /quit ends the chat)")
            continue
        talk.take(entry)
    if entries.interactive:
        terminal.err.write("\n")
    elif talk.exit:
        raise SystemExit(talk.exit)
