"""What is typed in a chat: one line, or several.

A line that ends in a backslash goes on; three quotation marks on a line of their own begin and end a block;
what is pasted is one entry.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TextIO

from plugmux.cli.terminal import Terminal

__all__ = ["ChatInput", "joined_lines"]

BLOCK = '"""'
PROMPT, MORE = "> ", "… "
REMEMBERED = 1000


def joined_lines(read: Callable[[str], str]) -> str:
    """One entry, which may take several lines. `read(prompt)` gives a line or raises EOFError.

    An entry that is begun when the input ends is given as it is.
    """
    first = read(PROMPT)
    if first.strip() == BLOCK:
        return "\n".join(_until_end_of_block(read))
    lines = [first]
    while lines[-1].endswith("\\"):
        lines[-1] = lines[-1][:-1]
        try:
            lines.append(read(MORE))
        except EOFError:
            break
    return "\n".join(lines)


def _until_end_of_block(read: Callable[[str], str]) -> list[str]:
    lines: list[str] = []
    while True:
        try:
            line = read(MORE)
        except EOFError:
            return lines
        if line.strip() == BLOCK:
            return lines
        lines.append(line)


class ChatInput:
    """Reads entries from the keyboard, with line editing and the earlier entries, or from a pipe."""

    def __init__(self, terminal: Terminal, home: Path, stdin: TextIO | None = None) -> None:
        self._terminal = terminal
        self._stdin = stdin or sys.stdin
        self._remembered = home / "chat-entries"
        self.interactive = self._stdin.isatty() and terminal.out_is_screen
        self._readline = _readline() if self.interactive else None

    def __enter__(self) -> ChatInput:
        if self._readline is not None:
            with contextlib.suppress(OSError):
                self._readline.read_history_file(self._remembered)
        return self

    def __exit__(self, *_: object) -> None:
        if self._readline is None:
            return
        self._readline.set_history_length(REMEMBERED)
        with contextlib.suppress(OSError):
            self._remembered.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._remembered.touch(mode=0o600)
            self._readline.write_history_file(self._remembered)
            self._remembered.chmod(0o600)

    def read(self) -> str:
        """The next entry. Raises EOFError at the end, KeyboardInterrupt on Ctrl-C."""
        return joined_lines(self._line)

    def _line(self, prompt: str) -> str:
        if self.interactive:
            return input(self._shown(prompt))
        line = self._stdin.readline()
        if not line:
            raise EOFError
        return line.rstrip("\r\n")

    def _shown(self, prompt: str) -> str:
        if self._readline is None or not self._terminal.colours(self._terminal.out):
            return prompt
        return f"\x01\x1b[1m\x02{prompt}\x01\x1b[0m\x02"  # \x01 \x02: readline counts no width between


def _readline() -> ModuleType | None:
    try:
        import readline
    except ImportError:
        return None
    # Python turns it off: with it, what is pasted is one entry, however many lines it has.
    readline.parse_and_bind("set enable-bracketed-paste on")
    readline.parse_and_bind("set enable-active-region off")
    return readline
