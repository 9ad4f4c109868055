"""Events as JSON: one object a line, `{"event": "text", "text": "…"}`.

The names are the event classes' in lower case with underscores, the keys their attributes. What is not
known is left out. A picture's bytes are not in it; `path` says where it was saved.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import attrs

from plugmux.events import ConversationState, Event
from plugmux.media import Media

__all__ = ["as_plain", "event_name", "event_object", "line"]


def line(value: Mapping[str, Any]) -> str:
    """One line of JSON, its line break included."""
    return json.dumps(as_plain(value), ensure_ascii=False, separators=(", ", ": ")) + "\n"


def event_name(event: Event) -> str:
    """`ServedBy` → `served_by`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()


def event_object(event: Event, path: Path | None = None) -> dict[str, Any]:
    """What an event says, as JSON values. `path` is where its media was saved."""
    named: dict[str, Any] = {"event": event_name(event)}
    if isinstance(event, ConversationState):
        return named  # what a service needs to go on is nobody else's business
    return {**named, **as_plain(event), **({"path": str(path)} if path else {})}


def as_plain(value: Any) -> Any:
    """`value` as JSON values: attrs classes become objects without what is None."""
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, Media):
        url = None if value.url and value.url.startswith("data:") else value.url
        facts = {"kind": value.kind, "mime_type": value.mime_type, "size": value.size}
        return as_plain(facts | {"url": url, "prompt": value.prompt})
    if isinstance(value, Mapping):
        return {str(as_plain(key)): as_plain(item) for key, item in value.items() if item is not None}
    if attrs.has(type(value)):
        names = (a.name for a in attrs.fields(type(value)) if a.repr and not a.name.startswith("_"))
        return as_plain({name: getattr(value, name) for name in names})
    if isinstance(value, list | tuple):
        return [as_plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((as_plain(item) for item in value), key=str)
    return str(value)
