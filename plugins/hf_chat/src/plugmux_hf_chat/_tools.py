"""What the tools that the server runs report, as events: calls, progress, results, links, pictures.

Results come as the tool protocol's content blocks (seen in recorded traffic).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from plugmux.events import Event, Media, MediaKind, Notice, Progress, Sources
from plugmux_hf_chat._sources import linked_sources, sources_in

__all__ = ["tool_events"]


def tool_events(update: Mapping[str, Any], name: str) -> list[Event]:
    """The events of one `tool` update of the tool `name`. Raises ValueError, TypeError, KeyError or
    AttributeError if it is malformed."""
    match update.get("subtype"):
        case "call":
            given = json.dumps(update["call"].get("parameters") or {}, ensure_ascii=False)
            return [Progress(stage=name, message=given)]
        case "eta":
            return [Progress(stage=name, eta=float(update["eta"]))]
        case "progress":
            total = update.get("total")
            share = min(1.0, update["progress"] / total) if total else None
            return [Progress(stage=name, fraction=share, message=update.get("message"))]
        case "error":
            return [_failed(name, update.get("message"))]
        case "result":
            return _result(update["result"], name)
    return []


def _failed(name: str, said: object) -> Notice:
    return Notice(code="tool-failed", message=f"{name} failed: {said or 'without a word'}")


def _result(result: Mapping[str, Any], name: str) -> list[Event]:
    if result.get("status") == "error":
        return [_failed(name, result.get("message"))]
    events: list[Event] = [Progress(stage=name, fraction=1.0)]
    for output in result.get("outputs") or ():
        text, blocks = output.get("text"), output.get("content")
        events += _links(text) if isinstance(text, str) else []
        for block in blocks if isinstance(blocks, list) else ():
            events += _block(block)
    return events


def _links(text: str) -> list[Event]:
    found = tuple(sources_in(text))
    return [Sources(sources=found)] if found else []


def _block(block: Mapping[str, Any]) -> list[Event]:
    """Text blocks repeat the output's text; pictures and sounds are base64, links are resources."""
    match block.get("type"):
        case "image" | "audio" as kind:
            data = base64.b64decode(block["data"], validate=True)
            return [Media.from_bytes(data, kind=MediaKind(kind), mime_type=block.get("mimeType"))]
        case "resource_link":
            title = block.get("title") or block.get("name")
            found = tuple(linked_sources([{"url": block.get("uri"), "title": title}]))
            return [Sources(sources=found)] if found else []
    return []
