"""What all decoders of answers share: an answer's end, and events that are no JSON. Pure."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from plugmux.errors import StreamCutError
from plugmux.events import Event, FinishReason, Notice, Usage

__all__ = ["MAX_MALFORMED", "Decoder", "excerpt"]

MAX_MALFORMED = 3


class Decoder(ABC):
    """From an answer to events: `feed` each event's data of a stream and `end` it, or `whole` for one body.

    `finish_reason` is set once the service has said why it ended, `done` after `[DONE]`; from then on an
    answer with content is `complete`, whatever becomes of the rest.
    Raises a ProviderError for an error inside the answer.
    """

    def __init__(self, headers: Mapping[str, str] | None) -> None:
        self.finish_reason: FinishReason | None = None
        self.done = False
        self._headers = headers or {}
        self._introduced = False
        self._content = False
        self._usage: Usage | None = None
        self._malformed = 0

    @property
    def complete(self) -> bool:
        """Whether nothing of the answer is missing, but for what may follow its end (usage)."""
        return self.finish_reason is not None or (self.done and self._content)

    @abstractmethod
    def feed(self, data: bytes) -> list[Event]:
        """The events of one `data:`."""

    @abstractmethod
    def whole(self, body: bytes) -> list[Event]:
        """All events of an answer that came in one piece: complete, even without a finish reason."""

    def end(self) -> list[Event]:
        """The last events of a stream that has ended, `Finish` last. Raises StreamCutError for a cut."""
        if not self.complete:
            said = "the answer broke off" if self._content else "the answer ended before it began"
            raise StreamCutError(f"{said}: no finish reason came")
        return self._last()

    @abstractmethod
    def _last(self) -> list[Event]:
        """What is left to say at the end."""

    def _unreadable(self, data: bytes) -> list[Event]:
        word = data.strip()
        if not word:  # it keeps the connection alive
            return []
        if word == b"[DONE]":
            self.done = True
            return []
        if pieces := _glued(data):
            return [event for piece in pieces for event in self.feed(piece)]
        self._malformed += 1
        if self._malformed > MAX_MALFORMED:
            raise StreamCutError(f"more than {MAX_MALFORMED} malformed chunks", body=excerpt(data))
        return [Notice(code="malformed-chunk", message=f"skipped a malformed chunk: {excerpt(data)}")]


def _glued(data: bytes) -> list[bytes]:
    """The chunks of an event that holds several, one a line: the blank line between them was forgotten
    (recorded: an old TGI's last two). Empty if it is not that."""
    pieces = [piece for piece in data.split(b"\n") if piece.strip()]
    fits = all(piece.lstrip()[:1] == b"{" or piece.strip() == b"[DONE]" for piece in pieces)
    return pieces if len(pieces) > 1 and fits else []


def excerpt(data: bytes) -> str:
    """The beginning of what came, in one line, for a message."""
    return " ".join(data[:200].decode("utf-8", "replace").split())
