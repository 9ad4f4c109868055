"""`-o key=value`: request options and policy given as words on a command line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import attrs

from plugmux.errors import InvalidInputError
from plugmux.requests import Options, Policy

__all__ = ["option_values", "policy_values"]


def option_values(given: Iterable[str]) -> dict[str, Any]:
    """Keyword arguments of `key=value` words.

    A value is JSON where it can be (`temperature=0.5`, `stop=["\\n"]`), else text; for an option that
    is text it stays text (`voice=1`), as in headers. `a.b=1` sets one key inside (`extra_body.top_k=5`).
    Raises InvalidInputError naming the word.
    """
    values = _values(given, "-o", _text_fields(Options))
    for name in ("model", "messages"):
        if name in values:
            raise InvalidInputError("it is an argument, and no option", field=name)
    return values


def policy_values(given: Iterable[str]) -> dict[str, Any]:
    """The same for `--policy key=value`; a comma makes a list (`order=together,novita`)."""
    values = _values(given, "--policy", _text_fields(Policy))
    for name in ("order", "only", "ignore"):
        if isinstance(values.get(name), str):
            values[name] = [part.strip() for part in values[name].split(",") if part.strip()]
    return values


def _text_fields(kind: type[attrs.AttrsInstance]) -> frozenset[str]:
    return frozenset(a.name for a in attrs.fields(kind) if a.type in (str, "str", "str | None"))


def _values(given: Iterable[str], flag: str, texts: frozenset[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for word in given:
        name, equals, value = word.partition("=")
        name = name.strip().replace("-", "_") if "." not in name else name.strip()
        if not name or not equals:
            raise InvalidInputError(f"expected key=value, got {word!r}", field=flag)
        is_text = name in texts or name.startswith("extra_headers.")
        _place(values, name, value if is_text else _json_or_text(value), flag)
    return values


def _json_or_text(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def _place(values: dict[str, Any], name: str, value: Any, flag: str) -> None:
    *path, last = name.split(".")
    for key in path:
        values = values.setdefault(key, {})
        if not isinstance(values, dict):
            raise InvalidInputError(f"{name}: {key} has a value already", field=flag)
    values[last] = value
