"""What a model that is given one text, and makes a picture, a film or a sound of it, is not told."""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING

from plugmux.events import Notice

if TYPE_CHECKING:
    from plugmux.requests import Request

__all__ = ["unsaid"]


def unsaid(request: Request, *, parts: bool = True, sent: Container[str] = ()) -> list[Notice]:
    """A notice for a system prompt and, with `parts`, for each kind of part of the last question that is no
    text and not among those `sent`."""
    task, found = request.task.value, []
    if any(message.role in ("system", "developer") for message in request.messages):
        said = f"{task} takes no system prompt"
        found.append(Notice(code="option-ignored", option="system", message=said))
    for kind in _kinds_of_parts(request) if parts else ():
        if kind in sent:
            continue
        said = f"{task} takes no {kind} parts of messages"
        found.append(Notice(code="option-ignored", option="messages", message=said))
    return found


def _kinds_of_parts(request: Request) -> list[str]:
    asked = next((m.content for m in reversed(request.messages) if m.role == "user"), None)
    kinds = dict.fromkeys(str(part.get("type")) for part in asked) if isinstance(asked, tuple) else {}
    return [kind for kind in kinds if kind != "text"]
