"""The command `plugmux`: its subcommands by name, each imported when it is called.

Installed plugins add commands by the entry-point group `plugmux.commands` (`plugmux.cli.plugged`).
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from plugmux.cli.exits import Exit, describe, exit_of
from plugmux.cli.plugged import PluginCommands
from plugmux.cli.terminal import Terminal

if TYPE_CHECKING:
    from plugmux.errors import PlugmuxError

__all__ = ["app", "failed"]

COMMANDS = {
    "complete": ("plugmux.cli.complete", "Ask a model and print its answer."),
    "chat": ("plugmux.cli.chat", "Talk with a model."),
    "image": ("plugmux.cli.media", "Make pictures of a prompt."),
    "video": ("plugmux.cli.media", "Make a film of a prompt."),
    "speak": ("plugmux.cli.media", "Read a text aloud into a file."),
    "transcribe": ("plugmux.cli.media", "Write down what a sound file says."),
    "models": ("plugmux.cli.models", "List the models that can be used."),
    "route": ("plugmux.cli.route", "Say who would serve a model, and why."),
    "providers": ("plugmux.cli.providers", "List the providers and how they are."),
    "status": ("plugmux.cli.status", "Show the health of what was used."),
    "install": ("plugmux.cli.install", "Install a plugin."),
    "uninstall": ("plugmux.cli.install", "Uninstall a plugin."),
    "auth": ("plugmux.cli.auth", "Tokens and logins."),
    "new-plugin": ("plugmux.cli.new_plugin", "Begin a provider plugin of your own."),
    "sandbox": ("plugmux.cli.sandbox", "Run a local server with synthetic answers."),
}

EPILOG = """\b
Exit codes: 0 all went well, 1 the service failed, 2 the command line, a setting or an input is wrong,
3 nobody can serve the model, 4 a plugin or a file cannot be used, 130 interrupted, 141 the reader went away.
"""


class Commands(click.Group):
    """Finds a command by name without importing the others, and turns errors into exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS, *PluginCommands(COMMANDS).names()]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return PluginCommands(COMMANDS).load(name)
        command = getattr(import_module(COMMANDS[name][0]), name.replace("-", "_"))
        return command if isinstance(command, click.Command) else None

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in COMMANDS and args[0] not in PluginCommands(COMMANDS).names():
            ctx.fail(_no_such_command(args[0], self.list_commands(ctx)))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own = [(name, words) for name, (_, words) in COMMANDS.items()]
        plugged = [(name, f"From {dist}.") for name, dist in PluginCommands(COMMANDS).origins().items()]
        with formatter.section("Commands"):
            formatter.write_dl([*own, *plugged])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the chosen command. Every expected error ends in words and its exit code."""
        from plugmux.errors import PlugmuxError

        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, EOFError, click.Abort):  # also at a question
            Terminal.of_process().err.write("\n")
            ctx.exit(Exit.INTERRUPTED)
        except (PlugmuxError, OSError) as error:
            ctx.exit(failed(error))


def _no_such_command(name: str, known: list[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, known, 1)
    return f"there is no command {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")


def failed(error: PlugmuxError | OSError) -> Exit:
    """Say what went wrong, unless it is that nobody reads any more, and give the exit code."""
    _let_go_of_broken_streams()
    if not isinstance(error, BrokenPipeError):
        Terminal.of_process().error(describe(error))
    return exit_of(error)


def _let_go_of_broken_streams() -> None:
    """Where nobody reads any more, or the disk is full: Python would complain when it flushes at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


@click.command(cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="plugmux", prog_name="plugmux")
def app() -> None:
    """One call, any model on Hugging Face, whichever service can serve it now.

    Answers go to standard output, everything else to standard error.
    """
