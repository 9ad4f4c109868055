"""Thinking that comes inside the answer's text, between `<think>` and `</think>`.

Several upstreams send it so (recorded: together, groq's raw format). The tags may be cut anywhere. Only a
tag at the very start of an answer counts: further in, it is something the model talks about.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto

from plugmux.events import Reasoning, Text

__all__ = ["ThinkSplitter"]

_OPEN = "<think>"
_CLOSE = "</think>"


class _Phase(Enum):
    START = auto()
    THINKING = auto()
    CLOSED = auto()


class ThinkSplitter:
    """Text in pieces → `Reasoning` and `Text` in pieces. Line breaks around the tags are dropped.

    Once `in_answer` is true, what is fed is `Text` as it is.
    """

    def __init__(self) -> None:
        self.in_answer = False
        self._phase = _Phase.START
        self._thought_anything = False
        self._held = ""

    def feed(self, piece: str) -> list[Reasoning | Text]:
        """What `piece` makes certain; what may be part of a tag is held back."""
        if self.in_answer:
            return [Text(text=piece)] if piece else []
        self._held += piece
        return list(self._advance())

    def flush(self) -> list[Reasoning | Text]:
        """What was held back when the answer ended."""
        held, self._held = self._held, ""
        if not held or self._phase is _Phase.CLOSED:
            return []
        return [Reasoning(text=held)] if self._phase is _Phase.THINKING else [Text(text=held)]

    def _advance(self) -> Iterator[Reasoning | Text]:
        if self._phase is _Phase.START:
            self._open()
        if self._phase is _Phase.THINKING:
            yield from self._think()
        if self._phase is _Phase.CLOSED:
            self._held = self._held.lstrip()
            self.in_answer = bool(self._held)
        if self.in_answer and self._held:
            held, self._held = self._held, ""
            yield Text(text=held)

    def _open(self) -> None:
        bare = self._held.lstrip()
        if bare.startswith(_OPEN):
            self._phase, self._held = _Phase.THINKING, bare[len(_OPEN) :]
        else:
            self.in_answer = not _OPEN.startswith(bare)

    def _think(self) -> Iterator[Reasoning]:
        held = self._held if self._thought_anything else self._held.lstrip("\n")
        thought, closed, rest = held.partition(_CLOSE)
        sure = thought.rstrip("\n") if closed else held[: _start_of_tag(held)]
        if sure:
            self._thought_anything = True
            yield Reasoning(text=sure)
        self._held = rest if closed else held[len(sure) :]
        if closed:
            self._phase = _Phase.CLOSED


def _start_of_tag(text: str) -> int:
    """Where a cut-off closing tag, or the line breaks before one, begin; the text's length if nowhere."""
    for size in range(min(len(_CLOSE) - 1, len(text)), 0, -1):
        if text.endswith(_CLOSE[:size]):
            text = text[:-size]
            break
    return len(text.rstrip("\n"))
