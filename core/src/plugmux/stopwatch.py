"""The limits of one attempt in time."""

from __future__ import annotations

import time
from collections.abc import Callable

from plugmux.errors import DeadlineError
from plugmux.requests import Limits

__all__ = ["Stopwatch"]


class Stopwatch:
    """The limits of one attempt, checked against the time on arrival of each chunk."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self.clock = clock
        self.started = clock()
        self.content_seen = False
        self.content_after: float | None = None
        ends = [self._end(limits.total), self._end(limits.first_content)]
        self._total_at, self._content_at = ends
        self._next_check = min(ends)

    def _end(self, seconds: float | None) -> float:
        return float("inf") if seconds is None else self.started + seconds

    def see_content(self) -> None:
        """The first content is there: note when."""
        self.content_seen = True
        self.content_after = self.clock() - self.started

    def check(self) -> None:
        """Raise DeadlineError if `total`, or `first_content` before any content, has passed."""
        now = self.clock()
        if now < self._next_check:
            return
        if now >= self._total_at:
            raise self.passed("total")
        if not self.content_seen and now >= self._content_at:
            raise self.passed("first_content")
        self._next_check = self._total_at

    def passed(self, limit: str) -> DeadlineError:
        """The error that says `limit` has passed."""
        seconds = getattr(self.limits, limit) or 0.0
        what = _LIMIT_WORDS[limit].format(seconds=f"{round(seconds, 2):g} s")
        return DeadlineError(what, limit=limit, seconds=seconds)

    def left(self) -> float | None:
        """Seconds until `total` has passed, or None without such a limit."""
        return None if self._total_at == float("inf") else max(0.001, self._total_at - self.clock())

    def read_timeout(self, limit: str) -> float | None:
        """Seconds the next silence may last under `limit`, never past `total`."""
        silence: float | None = getattr(self.limits, limit)
        left = self.left()
        if left is None or silence is None:
            return silence if left is None else left
        return min(silence, left)

    def silence(self, limit: str) -> DeadlineError:
        """The error for a read that timed out under `limit`."""
        return self.passed("total" if self.clock() >= self._total_at else limit)


_LIMIT_WORDS = {
    "first_sign": "no sign of an answer within {seconds}",
    "first_content": "no content within {seconds}",
    "idle": "silent for {seconds}",
    "total": "not finished within {seconds}",
}
