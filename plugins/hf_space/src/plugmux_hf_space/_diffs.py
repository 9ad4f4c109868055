"""The edits that generators send instead of whole values, from protocol sse_v2 on (recorded).

An edit is `[action, path, value]`: `append` to a text, `replace`, `add` (a list: insert; an object: set),
`delete`. An empty path is the value itself.
"""

from __future__ import annotations

from typing import Any

__all__ = ["BrokenDiffError", "apply_edits"]


class BrokenDiffError(ValueError):
    """Edits that do not fit the value: gradio before 5.29.1 sends such (recorded with 4.44.1)."""


def apply_edits(value: Any, edits: Any) -> Any:
    """The value after the edits. The old one is not changed. Raises BrokenDiffError."""
    if not isinstance(edits, list):
        raise BrokenDiffError(f"expected a list of edits, got {type(edits).__name__}")
    for edit in edits:
        try:
            action, path, operand = edit
            value = _applied(value, action, list(path), operand)
        except BrokenDiffError:
            raise
        except (TypeError, ValueError, KeyError, IndexError, AttributeError, RecursionError) as error:
            raise BrokenDiffError(f"{str(edit)[:100]}: {error!r}") from error
    return value


def _applied(value: Any, action: str, path: list[Any], operand: Any) -> Any:
    if not path:
        return _changed(value, action, operand)
    key = path[0]
    if len(path) == 1 and action in ("add", "delete"):
        return _reshaped(value, action, key, operand)
    copy = _copy(value)
    copy[key] = _applied(value[key], action, path[1:], operand)
    return copy


def _changed(value: Any, action: str, operand: Any) -> Any:
    match action:
        case "replace" | "add":
            return operand
        case "append" if isinstance(value, str):
            return value + operand
        case "append" if isinstance(value, list):
            return [*value, operand]
    raise BrokenDiffError(f"cannot {action} a {type(value).__name__}")


def _reshaped(value: Any, action: str, key: Any, operand: Any) -> Any:
    copy = _copy(value)
    if action == "delete":
        del copy[key]
    elif isinstance(copy, list):
        copy.insert(key, operand)
    else:
        copy[key] = operand
    return copy


def _copy(value: Any) -> Any:
    if isinstance(value, list | dict):
        return value.copy()
    raise BrokenDiffError(f"no place inside a {type(value).__name__}")
