"""`plugmux sandbox`: a local server with synthetic answers, for trying plugmux without account or network."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from importlib.util import find_spec

import click

from plugmux.cli.terminal import Terminal
from plugmux.errors import ConfigurationError

__all__ = ["sandbox"]


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8017, show_default=True, help="0 takes a free one."
)
def sandbox(port: int) -> None:
    """Start the sandbox and print the variables that point plugmux at it. Ctrl-C ends it."""
    missing = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        raise ConfigurationError(f"the sandbox needs {' and '.join(missing)}: pip install 'plugmux[sandbox]'")
    from plugmux.sandbox import Sandbox, SeenRequest

    terminal = Terminal.of_process()

    def say(seen: SeenRequest) -> None:
        terminal.note(f"{seen.method} {seen.path}")

    with redirect_stdout(sys.stderr), Sandbox(port=port, on_request=say) as box:
        terminal.answer("".join(f"{line}\n" for line in box.exports()))
        terminal.note(f"{box.describe()}\nCtrl-C ends it.")
        box.wait()
