"""An answer as text: what the model says to standard output, everything else to standard error."""

from __future__ import annotations

import json

from plugmux.cli.exits import IncompleteAnswerError
from plugmux.cli.pictures import Protocol, show_picture
from plugmux.cli.progress import ProgressDisplay
from plugmux.cli.saving import MediaFiles
from plugmux.cli.terminal import Terminal, visible
from plugmux.completion import Completion
from plugmux.events import (
    Attempt,
    Event,
    FinishReason,
    Media,
    Notice,
    Preview,
    Progress,
    Reasoning,
    Reset,
    Sources,
    Text,
)

__all__ = ["TextView"]


class TextView:
    """Shows events as they come.

    `whole` holds the text back until the answer is complete. `quiet` leaves out reasoning, progress and
    notices; `verbose` says who was tried. What was printed cannot be taken back: on a screen a `Reset`
    leaves a clear mark, in a pipe there is none to leave, so `can_restart` is False there, and a `Reset`
    ends the answer with an error, which names `remedy` if there is one.
    """

    def __init__(
        self,
        terminal: Terminal,
        progress: ProgressDisplay,
        files: MediaFiles,
        *,
        pictures: Protocol | None = None,
        quiet: bool = False,
        verbose: bool = False,
        whole: bool = False,
        remedy: str | None = None,
    ) -> None:
        self._terminal = terminal
        self._progress = progress
        self._files = files
        self._pictures = pictures
        self._quiet = quiet
        self._verbose = verbose
        self._whole = whole
        self._remedy = remedy
        self._held: list[str] = []
        self._last = ""  # the last text on the answer's line
        self._thinking = False

    @property
    def can_restart(self) -> bool:
        return self._whole or self._terminal.out_is_screen

    def show(self, event: Event) -> None:
        match event:
            case Text():
                self._text(event.text)
            case Reasoning():
                self._reasoning(event)
            case Media():
                self._media(event)
            case Progress() if not self._quiet:
                self._break_line()
                self._progress.update(event)
            case Preview() if not self._quiet:
                self._progress.update(Progress(stage="preview"))
            case Reset():
                self._reset(event)
            case Notice() if not self._quiet:
                self._note(f"note: {event.message}", "yellow")
            case Attempt() if event.number > 1 or self._verbose:
                who = "/".join(filter(None, (event.provider, event.upstream)))
                self._note(f"· trying {who} ({event.model})")
            case Sources() if not self._quiet:
                for source in event.sources:
                    self._note(f"source: {' '.join(filter(None, (source.title, source.url)))}")

    def close(self) -> None:
        """End the line and the progress display, whatever happened."""
        self._progress.close()
        self._end_thinking()
        if self._last and not self._last.endswith("\n"):
            self._terminal.answer("\n")
            self._last = "\n"

    def finish(self, completion: Completion) -> None:
        """Print what only the end tells. Raises IncompleteAnswerError where the service broke off."""
        self._flush()
        for call in completion.tool_calls:
            self._break_line()
            called = {"name": call.name, "arguments": call.arguments, "id": call.id}
            self._terminal.answer(json.dumps(called, ensure_ascii=False) + "\n")
        self.close()
        if self._verbose:
            self._summary(completion)
        match completion.finish_reason:
            case FinishReason.LENGTH:
                self._note("note: the answer ended at its length limit (max_tokens)", "yellow")
            case FinishReason.CONTENT_FILTER:
                raise IncompleteAnswerError("the service's content filter ended the answer")
            case FinishReason.INTERRUPTED:
                raise IncompleteAnswerError("the service interrupted the answer; it is not complete")

    def _text(self, text: str) -> None:
        if self._whole:
            self._held.append(text)
            return
        self._print(text)

    def _flush(self) -> None:
        held, self._held = "".join(self._held), []
        if held:
            self._print(held)

    def _print(self, text: str) -> None:
        if not text:
            return
        self._end_thinking()
        self._progress.pause()
        self._terminal.answer(text)
        self._last = text

    def _reasoning(self, event: Reasoning) -> None:
        if self._quiet:
            return
        if event.status:
            self._note(f"· {event.status}")
        if event.text:
            if not self._thinking:
                self._break_line()
            terminal = self._terminal
            terminal.err.write(terminal.styled(visible(event.text), "dim", terminal.err))
            terminal.err.flush()
            self._thinking = True

    def _end_thinking(self) -> None:
        if self._thinking:
            self._terminal.err.write("\n\n" if self._terminal.err_is_screen else "\n")
            self._terminal.err.flush()
            self._thinking = False

    def _media(self, media: Media) -> None:
        self._progress.pause()
        self._break_line()
        path = self._files.save(media)
        if path is not None:
            show_picture(self._terminal, media, self._pictures)
            self._terminal.answer(f"{path}\n")

    def _reset(self, event: Reset) -> None:
        if self._whole:
            self._held.clear()
            self._note(f"· starting over: {event.why}", "yellow")
            return
        said = bool(self._last)
        if said and not self._terminal.out_is_screen:
            remedy = f" ({self._remedy})" if self._remedy else ""
            raise IncompleteAnswerError(f"what was printed so far is void: {event.why}{remedy}")
        self._break_line()
        mark = "── the text above is void; the answer starts over" if said else "· starting over"
        self._note(f"{mark}: {event.why}", "yellow")

    def _summary(self, completion: Completion) -> None:
        who = "/".join(filter(None, (completion.provider, completion.upstream)))
        facts = [f"{who}: {completion.model}"]
        if completion.usage is not None:
            usage = completion.usage
            facts.append(f"{usage.prompt_tokens or '?'} + {usage.completion_tokens or '?'} tokens")
        if completion.cost is not None:
            facts.append(f"${completion.cost:.6f}")
        if completion.request_id:
            facts.append(f"request {completion.request_id}")
        self._note(", ".join(facts))
        for attempt in completion.trace.attempts:
            self._note(f"  {attempt}")

    def _note(self, text: str, style: str = "dim") -> None:
        self._progress.pause()
        self._end_thinking()
        self._break_line()
        self._terminal.note(text, style)

    def _break_line(self) -> None:
        """On a screen, what is beside the answer begins on a line of its own."""
        self._end_thinking()
        if self._last and not self._last.endswith("\n") and self._terminal.out_is_screen:
            self._terminal.answer("\n")
            self._last = "\n"
