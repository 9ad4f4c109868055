"""`<think>…</think>` at the start of an answer, taken apart from tokens that may cut the tags anywhere."""

from __future__ import annotations

from plugmux.events import Reasoning, Text

__all__ = ["ThinkSplitter"]

OPEN, CLOSE = "<think>", "</think>"


class ThinkSplitter:
    """Splits the tokens of one round (an answer, or what follows a tool call) into reasoning and text.

    The tag counts only at the very start of a round: further on it is part of what the model says.
    Blanks after `</think>` belong to neither.
    """

    def __init__(self) -> None:
        self._held = ""
        self._step = self._start

    def feed(self, token: str) -> list[Text | Reasoning]:
        """What this token completes."""
        self._held += token
        events: list[Text | Reasoning] = []
        while self._step(events):
            pass
        return events

    def flush(self) -> list[Text | Reasoning]:
        """What was held back for a tag that did not come."""
        held, self._held = self._held, ""
        if not held or self._step == self._gap:
            return []
        return [Reasoning(text=held)] if self._step == self._think else [Text(text=held)]

    def _start(self, events: list[Text | Reasoning]) -> bool:
        seen = self._held.lstrip()
        if OPEN.startswith(seen) and seen != OPEN:
            return False
        if not seen.startswith(OPEN):
            self._step = self._text
            return True
        self._held = seen[len(OPEN) :]
        self._step = self._think
        return True

    def _think(self, events: list[Text | Reasoning]) -> bool:
        thought, tag, rest = self._held.partition(CLOSE)
        if not tag:
            keep = _partial(self._held, CLOSE)
            thought, rest = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        if thought:
            events.append(Reasoning(text=thought))
        self._held = rest
        if tag:
            self._step = self._gap
        return bool(tag)

    def _gap(self, events: list[Text | Reasoning]) -> bool:
        self._held = self._held.lstrip()
        if self._held:
            self._step = self._text
        return bool(self._held)

    def _text(self, events: list[Text | Reasoning]) -> bool:
        if self._held:
            events.append(Text(text=self._held))
        self._held = ""
        return False


def _partial(text: str, tag: str) -> int:
    """How many characters at the end of `text` may be the start of `tag`."""
    return next((n for n in range(len(tag) - 1, 0, -1) if text.endswith(tag[:n])), 0)
