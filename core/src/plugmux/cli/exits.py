"""The exit codes, and which error ends with which.

0    all went well
1    the service failed, or the answer broke off
2    the command line, a setting or an input is wrong
3    nobody can serve this model
4    a plugin or a file cannot be used
130  interrupted (Ctrl-C)
141  whoever read the output went away
"""

from __future__ import annotations

from enum import IntEnum

from plugmux.errors import (
    AllProvidersFailedError,
    ConfigurationError,
    InvalidInputError,
    NoRouteError,
    PlugmuxError,
    ProviderError,
)

__all__ = ["Exit", "IncompleteAnswerError", "describe", "exit_of"]


class Exit(IntEnum):
    OK = 0
    FAILED = 1
    USAGE = 2
    NO_ROUTE = 3
    UNUSABLE = 4
    INTERRUPTED = 130
    CLOSED_PIPE = 141


class IncompleteAnswerError(PlugmuxError):
    """The service itself ended the answer early. What was printed is not the whole."""


def exit_of(error: BaseException) -> Exit:
    """The exit code for an error that ended a command."""
    match error:
        case KeyboardInterrupt():
            return Exit.INTERRUPTED
        case BrokenPipeError():
            return Exit.CLOSED_PIPE
        case InvalidInputError() | ConfigurationError():
            return Exit.USAGE
        case NoRouteError():
            return Exit.NO_ROUTE
        case ProviderError() | AllProvidersFailedError() | IncompleteAnswerError():
            return Exit.FAILED
    return Exit.UNUSABLE


def describe(error: BaseException) -> str:
    """The error in words, for people: what happened, and what to do."""
    if isinstance(error, PlugmuxError):
        return str(error) or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}"
    return str(error) or type(error).__name__
