"""The command line. `main` is the script `plugmux`.

Nothing heavy is imported here or before a command is chosen: `plugmux --help` costs what click costs.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
from importlib.util import find_spec

__all__ = ["main"]

NEEDED = ("click", "rich")


def main() -> int:
    """Run the command line and return its exit code (`plugmux.cli.exits` lists them)."""
    _prepare_streams()
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        print(  # noqa: T201
            f"plugmux: the command line needs {' and '.join(missing)}: pip install 'plugmux[cli]'",
            file=sys.stderr,
        )
        return 2
    code = _run()
    if threading.active_count() > 1:
        _leave(code)
    return code


def _prepare_streams() -> None:
    """Open the null device for each stream that is closed (`<&-`, `>&-`): for Python it is None then.

    In the order of their numbers, so that no socket takes one of these and gets what is written there.
    What cannot be decoded of standard input comes as lone surrogates, as in arguments, and is no error.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")


def _run() -> int:
    from plugmux.cli.app import app, failed

    try:
        app(prog_name="plugmux")
    except OSError as error:  # of what is printed before a command runs: its help
        return failed(error)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


def _leave(code: int) -> None:
    """End without waiting for threads: a plugin's import may never end, or its own thread."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
