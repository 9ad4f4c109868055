"""An answer as JSON lines: each event as it comes, at the end what it came to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import attrs

from plugmux.cli.exits import IncompleteAnswerError, describe
from plugmux.cli.jsonlines import as_plain, event_object, line
from plugmux.cli.saving import MediaFiles
from plugmux.cli.terminal import Terminal
from plugmux.completion import Completion
from plugmux.errors import PlugmuxError
from plugmux.events import Event, FinishReason, Media

__all__ = ["JsonView", "error_object", "said_as_json"]


class JsonView:
    """Writes one object a line to standard output.

    The last line is `{"event": "completion", …}` with the whole text and the trace, or
    `{"event": "error", …}`. Nothing is taken back: a `reset` line says that the answer starts over.
    """

    can_restart = True

    def __init__(self, terminal: Terminal, files: MediaFiles) -> None:
        self._terminal = terminal
        self._files = files

    def show(self, event: Event) -> None:
        path = self._files.save(event) if isinstance(event, Media) else None
        self._terminal.out.write(line(event_object(event, path)))
        self._terminal.out.flush()

    def close(self) -> None:
        pass

    def finish(self, completion: Completion) -> None:
        """The last line. Raises IncompleteAnswerError where the service broke off."""
        left_out = ("conversation", "headers", "trace", "media", "choices")
        names = (a.name for a in attrs.fields(Completion) if a.name not in left_out)
        facts = {name: getattr(completion, name) for name in names}
        facts["files"] = [str(path) for path in self._files.saved] or None
        facts["trace"] = trace_object(completion)
        self._terminal.out.write(line({"event": "completion", **facts}))
        self._terminal.out.flush()
        if completion.finish_reason in (FinishReason.CONTENT_FILTER, FinishReason.INTERRUPTED):
            raise IncompleteAnswerError(f"the answer ended early: {completion.finish_reason.value}")


def trace_object(completion: Completion) -> list[dict[str, object]]:
    """Every attempt of the trace, its error in words."""
    attempts = []
    for attempt in completion.trace.attempts:
        facts = {a.name: getattr(attempt, a.name) for a in attrs.fields(type(attempt))}
        facts["error"] = describe(attempt.error) if attempt.error else None
        attempts.append(as_plain(facts))
    return attempts


def error_object(error: BaseException) -> dict[str, object]:
    """An error as the last line: its kind, its words, and the facts that it has."""
    names = ("provider", "model", "upstream", "status", "retry_after", "request_id", "code", "field", "near")
    facts = {name: getattr(error, name, None) or None for name in names}
    return {"event": "error", "kind": type(error).__name__, "message": describe(error), **facts}


@contextmanager
def said_as_json(terminal: Terminal, wanted: bool) -> Iterator[None]:
    """Where JSON lines are wanted, the error that ends the work is one of them, and goes on."""
    try:
        yield
    except PlugmuxError as error:
        if wanted:
            terminal.answer(line(error_object(error)))
        raise
