"""`plugmux route`: who would serve a model, who would not, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from plugmux.cli.exits import Exit
from plugmux.cli.terminal import Terminal
from plugmux.model import Task

if TYPE_CHECKING:
    from plugmux.completion import Trace
    from plugmux.routing import Route

__all__ = ["route", "route_lines"]


@click.command()
@click.argument("names", nargs=-1, metavar="[MODEL]...")
@click.option("--task", type=click.Choice([task.value for task in Task]), metavar="TASK")
@click.option("-o", "--option", "options", multiple=True, metavar="KEY=VALUE", help="As for complete.")
@click.option("--policy", "policies", multiple=True, metavar="KEY=VALUE", help="As for complete.")
@click.option("-p", "--provider", "providers", multiple=True, metavar="NAME", help="As for complete.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def route(names: tuple[str, ...], task: str | None, as_json: bool, **given: Any) -> None:
    """Show each candidate for MODEL in the order of trial, each dropped one, and why.

    Nothing is asked of a model. Several MODELs are taken in order of wish.
    """
    from plugmux.cli.asking import Question, pinned
    from plugmux.cli.jsonlines import line
    from plugmux.cli.options import option_values, policy_values
    from plugmux.cli.running import OpenClient

    terminal = Terminal.of_process()
    question = Question(
        models=names,
        message="",
        task=Task(task) if task else None,
        options=option_values(given["options"]),
        policy=policy_values(given["policies"]),
    )
    with OpenClient(terminal) as opened:
        question = pinned(question.under(opened.settings.policy), given["providers"])
        found = opened.run(lambda client: client.explain(question.model, **question.arguments()))
    lines = map(line, route_objects(found)) if as_json else (f"{text}\n" for text in route_lines(found))
    terminal.answer("".join(lines))
    if not found.candidates:
        raise SystemExit(Exit.NO_ROUTE)


def route_lines(found: Route | Trace) -> list[str]:
    """A route in words: the candidates numbered, then the dropped ones."""
    name = getattr(found, "name", None) or getattr(found, "model", "")
    lines = [f"{name}: {_counted(len(found.candidates), 'candidate')}"]
    lines += [f"  {i}. {candidate}: {candidate.why}" for i, candidate in enumerate(found.candidates, 1)]
    if found.dropped:
        lines.append(f"dropped: {len(found.dropped)}")
        lines += [f"  -  {dropped}" for dropped in found.dropped]
    return lines


def route_objects(found: Route) -> list[dict[str, Any]]:
    """A route as objects, one a candidate or dropped one."""
    kept = [_object(c.model, "candidate", c.why) | {"order": i} for i, c in enumerate(found.candidates, 1)]
    return kept + [_object(d.model, "dropped", d.reason) for d in found.dropped]


def _object(model: Any, verdict: str, why: str) -> dict[str, Any]:
    facts = {"model": model.id, "provider": model.provider, "upstream": model.upstream}
    return {"verdict": verdict, **facts, "remote_id": model.remote_id, "why": why}


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
