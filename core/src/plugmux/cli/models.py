"""`plugmux models`: what can be used now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from plugmux.cli.terminal import Terminal
from plugmux.model import Task

if TYPE_CHECKING:
    from plugmux.model import Model

__all__ = ["models"]

HEADER = ("MODEL", "PROVIDER", "UPSTREAM", "TASK", "CONTEXT", "$/M IN", "$/M OUT", "SHORT NAMES")


@click.command()
@click.argument("words", nargs=-1, metavar="[WORD]...")
@click.option(
    "--task", type=click.Choice([task.value for task in Task]), metavar="TASK", help="Only this task."
)
@click.option("-p", "--provider", metavar="NAME", help="Only this provider.")
@click.option("--refresh", is_flag=True, help="Ask the services now.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def models(words: tuple[str, ...], task: str | None, as_json: bool, **given: Any) -> None:
    """List models; with WORDs, those whose name has each of them.

    Tasks: conversational, text-generation, image-text-to-text, text-to-image, image-to-image,
    text-to-video, image-to-video, text-to-speech, automatic-speech-recognition.
    """
    from plugmux.cli.jsonlines import as_plain, line
    from plugmux.cli.running import with_client
    from plugmux.cli.tables import show_table

    terminal = Terminal.of_process()
    wanted = Task(task) if task else None
    listed = with_client(terminal, lambda client: client.models(task=wanted, **given))
    found = [model for model in listed if _matches(model, words)]
    if as_json:
        terminal.answer("".join(line(as_plain(model)) for model in found))
    elif found:
        show_table(terminal, HEADER, [_row(model, wanted) for model in found])
    else:
        terminal.note(_nothing(listed, given["provider"]), "yellow")


def _matches(model: Model, words: Sequence[str]) -> bool:
    names = " ".join((model.id, *model.aliases)).lower()
    return all(word.lower() in names for word in words)


def _row(model: Model, wanted: Task | None) -> tuple[str, ...]:
    price = model.pricing
    task = wanted or next(iter(model.tasks), None)
    return (
        model.id,
        model.provider,
        model.upstream if model.upstream and model.upstream != model.id else "",
        task.value if task else "",
        f"{model.context_length:,}" if model.context_length else "",
        _dollars(price.input if price else None),
        _dollars(price.output if price else None),
        ", ".join(model.aliases),
    )


def _dollars(price: float | None) -> str:
    return "" if price is None else f"{price:.2f}"


def _nothing(listed: Sequence[Model], provider: str | None) -> str:
    if listed:
        return f"none of {len(listed)} models fits"
    if provider:
        return f"no models of {provider!r}: `plugmux providers` lists the providers and what ails them"
    return "no models: `plugmux providers` says who was asked; `plugmux install hf-inference` adds one"
