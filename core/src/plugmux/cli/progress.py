"""Progress on standard error: a bar on a screen, a line per change elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from plugmux.cli.terminal import Terminal, visible
from plugmux.events import Progress

if TYPE_CHECKING:
    import rich.progress

__all__ = ["ProgressBar", "ProgressDisplay", "ProgressLines", "progress_words"]


def progress_words(event: Progress) -> str:
    """`in queue, position 3, about 12 s`, for `IN_QUEUE` and its like."""
    parts = [(event.stage or "").replace("_", " ").lower(), event.message or ""]
    if event.position is not None:
        parts.append("next in the queue" if event.position == 0 else f"position {event.position}")
    if event.eta is not None:
        parts.append(f"about {event.eta:.0f} s")
    return visible(", ".join(dict.fromkeys(filter(None, parts))))


class ProgressDisplay(Protocol):
    def update(self, event: Progress) -> None: ...

    def pause(self) -> None:
        """Leave the screen to others, until the next update."""

    def close(self) -> None: ...


class ProgressLines:
    """One line whenever the words change. Fractions and estimates alone are not worth a line."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._said = ""

    def update(self, event: Progress) -> None:
        words = progress_words(Progress(stage=event.stage, message=event.message, position=event.position))
        if words and words != self._said:
            self._said = words
            self._terminal.note(f"· {words}")

    def pause(self) -> None:
        pass

    def close(self) -> None:
        pass


class ProgressBar:
    """A bar with stage, queue position and the time gone by; it vanishes when the work is done."""

    def __init__(self, terminal: Terminal, what: str) -> None:
        self._terminal = terminal
        self._what = what
        self._said = ""
        self._bar: rich.progress.Progress | None = None
        self._task: rich.progress.TaskID | None = None

    def update(self, event: Progress) -> None:
        bar, task = self._started()
        total, completed = (None, 0.0) if event.fraction is None else (1.0, event.fraction)
        words = progress_words(event) or self._what
        changed, self._said = words != self._said, words
        bar.update(task, description=words, total=total, completed=completed, refresh=changed)

    def pause(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def close(self) -> None:
        self.pause()

    def _started(self) -> tuple[rich.progress.Progress, rich.progress.TaskID]:
        if self._bar is None or self._task is None:
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            words = TextColumn("{task.description}", markup=False)
            console = self._terminal.rich(self._terminal.err)
            self._bar = Progress(words, BarColumn(), TimeElapsedColumn(), console=console, transient=True)
            self._task = self._bar.add_task(self._what, total=None)
            self._bar.start()
        return self._bar, self._task
