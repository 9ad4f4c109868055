"""The last resort for a model that takes one flat prompt and whose format nobody knows."""

from __future__ import annotations

from collections.abc import Sequence

from plugmux.messages import Message

__all__ = ["plain_prompt"]

_SPEAKERS = {"assistant": "Assistant: ", "system": "", "developer": ""}


def plain_prompt(messages: Sequence[Message], *, continue_final: bool = False) -> str:
    """`User: …` and `Assistant: …` by lines, open for the assistant's next words; with `continue_final`
    open behind what the assistant has already said."""
    lines = [_SPEAKERS.get(message.role, "User: ") + message.text for message in messages]
    if not continue_final:
        lines.append("Assistant:")
    return "\n".join(lines)
