"""Links out of what tools and web searches say, as `Source` values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from plugmux.events import Source

__all__ = ["linked_sources", "sources_in"]

_FIELD = re.compile(r"^\s*(title|url|text|snippet|summary)\s*:\s*(.*)$", re.I)
_MARKDOWN = re.compile(r"\[([^\]\n]+)\]\((https?://[^\s)]+)\)")
_BARE = re.compile(r"https?://[^\s<>\"'`\]}|]+")


def sources_in(text: str) -> list[Source]:
    """The links of a tool's text: records of `Title:`, `URL:`, `Text:` lines (seen in recorded
    traffic), else Markdown links, else bare ones. Each URL once."""
    found = _records(text) or [Source(url=url, title=title) for title, url in _MARKDOWN.findall(text)]
    return _once(found or (Source(url=url.rstrip(".,;:!?)")) for url in _BARE.findall(text)))


def linked_sources(items: object) -> list[Source]:
    """Sources of `[{"title", "link"}]` (web search events of 2024) or `[{"title", "uri"}]` (early 2025)."""
    if not isinstance(items, list):
        return []
    return _once(filter(None, map(_linked, items)))


def _linked(item: Any) -> Source | None:
    if not isinstance(item, Mapping):
        return None
    url = item.get("link") or item.get("uri") or item.get("url")
    title = item.get("title")
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        return None
    return Source(url=url, title=title if isinstance(title, str) and title else None)


def _records(text: str) -> list[Source]:
    found: list[Source] = []
    title: str | None = None
    for line in text.splitlines():
        match = _FIELD.match(line)
        if match is None:
            continue
        name, value = match[1].lower(), match[2].strip()
        if name == "title":
            title = value or None
        elif name == "url" and value.startswith(("http://", "https://")):
            found.append(Source(url=value, title=title))
            title = None
        elif name in ("text", "snippet", "summary") and value and found and found[-1].snippet is None:
            found[-1] = Source(url=found[-1].url, title=found[-1].title, snippet=value)
    return found


def _once(found: Iterable[Source]) -> list[Source]:
    return list({source.url: source for source in reversed(list(found))}.values())[::-1]
