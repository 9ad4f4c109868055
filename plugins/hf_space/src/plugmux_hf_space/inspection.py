"""What `plugmux space inspect` says of an app: each endpoint's task and why, and what a call would send."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from plugmux.errors import InvalidRequestError
from plugmux_hf_space._app import App, Slot
from plugmux_hf_space._binding import Given, bind
from plugmux_hf_space._places import Place
from plugmux_hf_space._settings import Override
from plugmux_hf_space._tasks import History, Verdict
from plugmux_hf_space._values import choices_of

__all__ = ["as_plain", "as_text"]

PROMPT = "<the prompt>"
FILE = {"path": "<the uploaded file>", "meta": {"_type": "gradio.FileData"}}


def as_plain(
    place: Place, app: App, verdicts: Sequence[Verdict], override: Override | None = None
) -> dict[str, Any]:
    """The findings as JSON values."""
    return {
        "url": app.url,
        "space": place.space,
        "title": app.title,
        "gradio": app.version,
        "protocol": app.protocol,
        "signature": app.signature,
        "endpoints": [_endpoint(place, verdict, i == 0, override) for i, verdict in enumerate(verdicts)],
    }


def as_text(place: Place, app: App, verdicts: Sequence[Verdict], override: Override | None = None) -> str:
    """The findings in words, the best endpoint first."""
    lines = [f"{place.id}: gradio {app.version}, {app.protocol}, “{app.title}”"]
    shown = [verdict for verdict in verdicts if verdict.endpoint.public or verdict.tasks]
    plain = as_plain(place, app, shown, override)
    for verdict, found in zip(shown, plain["endpoints"], strict=True):
        lines += [
            "",
            f"/{found['name']}  {', '.join(found['tasks']) or 'not usable'}",
            f"  why: {verdict.why}",
        ]
        if found["tasks"]:
            lines += [f"  model: {found['model']}", *_parameter_lines(verdict)]
            lines += [f"  sends: {json.dumps(found['sends'], ensure_ascii=False)}"]
    if rest := [f"/{verdict.endpoint.name}" for verdict in verdicts if verdict not in shown]:
        lines += ["", f"not public: {', '.join(rest)}"]
    return "\n".join(lines) + "\n"


def _endpoint(place: Place, verdict: Verdict, first: bool, override: Override | None) -> dict[str, Any]:
    endpoint = verdict.endpoint
    found: dict[str, Any] = {
        "name": endpoint.name,
        "fn_index": endpoint.id,
        "tasks": [task.value for task in verdict.tasks],
        "why": verdict.why,
    }
    if verdict.tasks:
        found["model"] = place.id if first else f"{place.id}#{endpoint.name}"
        found["options"] = {option: endpoint.slots[i].name for option, i in verdict.options.items()}
        found["sends"] = _sends(verdict, override)
    return found


def _sends(verdict: Verdict, override: Override | None) -> list[Any]:
    given = Given(
        prompt=PROMPT,
        images=[FILE] if "image" in verdict.options else [],
        audio=FILE if "audio" in verdict.options else None,
        history=[{"role": "user", "content": PROMPT}] if verdict.history is History.REQUEST else None,
    )
    try:
        return list(bind(verdict, verdict.tasks[0], given, override).data)
    except InvalidRequestError as error:
        return [f"<{error.message}>"]


def _parameter_lines(verdict: Verdict) -> Iterator[str]:
    options = {i: option for option, i in verdict.options.items()}
    for i, slot in enumerate(verdict.endpoint.slots):
        if slot.name is None:
            yield f"    (hidden)  {slot.kind}: kept by the app"
        else:
            yield f"    {slot.name}  {slot.kind}{_range(slot)}: {_taken(slot, options.get(i))}"


def _taken(slot: Slot, option: str | None) -> str:
    if option == "n":
        return "1, since a call makes one"
    return f"takes {option or f'extra_body[{slot.name!r}]'}{_default(slot)}"


def _range(slot: Slot) -> str:
    if choices := choices_of(slot):
        shown = ", ".join(str(value) for _, value in choices[:8])
        return f" [{shown}{' …' if len(choices) > 8 else ''}]"
    props = slot.component.props
    low, high = props.get("minimum"), props.get("maximum")
    return f" [{low} to {high}]" if low is not None and high is not None else ""


def _default(slot: Slot) -> str:
    return f", else {json.dumps(slot.default, ensure_ascii=False)}" if slot.has_default else ""
