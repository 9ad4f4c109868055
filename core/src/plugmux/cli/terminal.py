"""Where a command writes: answers to `out`, everything else to `err`, and what each can show.

A terminal gets colour unless NO_COLOR is set or it is a dumb one; a pipe or a file gets plain text.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, TextIO

from attrs import field, frozen

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Terminal", "visible"]

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def visible(text: str) -> str:
    """`text` without control characters, so that an answer cannot steer the terminal that shows it.

    Line breaks and tabs stay; `\\r\\n` becomes `\\n`.
    """
    return _CONTROLS.sub("", text)


@frozen(kw_only=True)
class Terminal:
    """The two streams of a command, and its environment."""

    out: TextIO
    err: TextIO
    environ: Mapping[str, str] = field(repr=False)

    @classmethod
    def of_process(cls) -> Terminal:
        """This process's streams. What their encoding cannot say is written as `?`."""
        for stream in (sys.stdout, sys.stderr):
            reconfigure = getattr(stream, "reconfigure", None)
            if reconfigure is not None:
                reconfigure(errors="replace")
        return cls(out=sys.stdout, err=sys.stderr, environ=os.environ)

    @property
    def out_is_screen(self) -> bool:
        return self.out.isatty()

    @property
    def err_is_screen(self) -> bool:
        return self.err.isatty()

    @property
    def shared(self) -> bool:
        """Both streams show on a screen, so that lines of one can break into lines of the other."""
        return self.out_is_screen and self.err_is_screen

    def colours(self, stream: TextIO) -> bool:
        """Whether `stream` gets ANSI colours."""
        plain = self.environ.get("NO_COLOR") or self.environ.get("TERM") == "dumb"
        return stream.isatty() and not plain

    def styled(self, text: str, style: str, stream: TextIO) -> str:
        """`text` in a style (`dim`, `bold`, a colour), or as it is where colours are off."""
        if not text or not self.colours(stream):
            return text
        return f"\x1b[{_CODES[style]}m{text}\x1b[0m"

    def answer(self, text: str) -> None:
        """A piece of the answer. A pipe gets it as it came, a screen without control characters."""
        self.out.write(visible(text) if self.out_is_screen else text)
        self.out.flush()

    def note(self, text: str, style: str = "dim") -> None:
        """A line beside the answer, to standard error."""
        self.err.write(self.styled(visible(text), style, self.err) + "\n")
        self.err.flush()

    def error(self, text: str) -> None:
        """A failure, in words, to standard error."""
        self.err.write(self.styled("plugmux: ", "red", self.err) + visible(text) + "\n")
        self.err.flush()

    def rich(self, stream: TextIO) -> Console:
        """A rich console on `stream`, with the same rules for colours."""
        from rich.console import Console

        screen = stream.isatty()
        return Console(
            file=stream,
            force_terminal=screen,
            no_color=not self.colours(stream),
            highlight=False,
            markup=False,
            emoji=False,
            width=None if screen else 10_000,
        )
