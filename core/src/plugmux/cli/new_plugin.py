"""`plugmux new-plugin`: a provider plugin to start from."""

from __future__ import annotations

from pathlib import Path

import click

from plugmux.cli.terminal import Terminal

__all__ = ["new_plugin"]


@click.command("new-plugin")
@click.argument("name")
@click.option("--folder", default=".", metavar="FOLDER", help="Where to put it; the current folder.")
def new_plugin(name: str, folder: str) -> None:
    """Write the project plugmux-NAME: it installs, passes the conformance kit and answers at once."""
    from plugmux.scaffold import create

    terminal = Terminal.of_process()
    project = create(name, Path(folder))
    terminal.answer(f"{project}\n")
    terminal.note(f"next: cd {project} && pip install -e '.[test]' && pytest")
