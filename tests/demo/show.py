"""The main job, shown: the command line against the sandbox, with no account and no network.

Each step is a command that a person could type. Ends with 1 as soon as one does not do what it shows.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from plugmux.sandbox import Sandbox

MODEL = "llama-3.3-70b"
BROKEN = "sandbox/fault-503"
LINES = 20
PLUGMUX = Path(sys.executable).parent / "plugmux"


class StepFailedError(Exception):
    """A command did not do what the demo shows."""


def main() -> int:
    with Sandbox() as box, tempfile.TemporaryDirectory() as home:
        shell = Shell(Path(home), box.environment())
        print(f"A sandbox runs on {box.url}: what it answers is synthetic.\n", flush=True)
        try:
            _show_chat(shell)
            if "hf-media" in box.plugins:
                _show_media(shell)
        except StepFailedError as error:
            print(f"\nThe demo failed: {error}", flush=True)
            return 1
        asked = [request.path for request in box.requests]
        print(f"\nThe demo is over. The sandbox answered {len(asked)} requests.")
    return 0


def _show_chat(shell: Shell) -> None:
    shell.says("The models that can be used:", ["models"], [r"\w/\w"])
    shell.says(f"Who would serve {MODEL}, and why:", ["route", MODEL], ["hf-inference"])
    shell.says(
        "The first candidate answers 503; another one serves, and the trace says so:",
        ["complete", "-v", "-m", BROKEN, "-m", MODEL, "What does a router do?"],
        ["503", "hf-inference"],
    )
    shell.says(
        "Why it took that way: every candidate in order, every dropped one, and the reasons:",
        ["route", BROKEN],
        ["hf-inference"],
    )


def _show_media(shell: Shell) -> None:
    shell.says("A picture:", ["image", "flux", "a red fox", "-o", "fox.png"], [r"fox\.png"])
    shell.says("A film:", ["video", "wan", "a boat at dawn", "-o", "boat.mp4"], [r"boat\.mp4"])
    for name in ("fox.png", "boat.mp4"):
        print(f"{name}: {shell.size_of(name):,} bytes")


class Shell:
    """Runs `plugmux` commands in a folder and with a home of their own and shows what they print."""

    def __init__(self, home: Path, environ: dict[str, str]) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "PLUGMUX_"))}
        self._environ = {**kept, "PLUGMUX_HOME": str(home), "HF_HOME": str(home), **environ}
        self._folder = home

    def says(self, title: str, arguments: Sequence[str], patterns: Sequence[str]) -> None:
        """Run a command; its output has to match every pattern."""
        print(f"{title}\n$ plugmux {shlex.join(arguments)}", flush=True)
        command = [str(PLUGMUX), *arguments]
        done = subprocess.run(
            command,
            env=self._environ,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        print(_shortened(done.stdout), flush=True)
        if done.returncode:
            raise StepFailedError(f"plugmux {shlex.join(arguments)} ended with {done.returncode}")
        for pattern in patterns:
            if not re.search(pattern, done.stdout):
                raise StepFailedError(f"plugmux {shlex.join(arguments)} did not print {pattern!r}")

    def size_of(self, name: str) -> int:
        """Bytes of a file that a command has saved."""
        path = self._folder / name
        if not path.is_file():
            raise StepFailedError(f"there is no {name}")
        return path.stat().st_size


def _shortened(text: str) -> str:
    """The first lines of a long list, and how many there are more."""
    lines = text.splitlines()
    more = [f"… and {len(lines) - LINES} more"] if len(lines) > LINES + 1 else []
    return "\n".join([*(lines[:LINES] if more else lines), *more, ""])


if __name__ == "__main__":
    raise SystemExit(main())
