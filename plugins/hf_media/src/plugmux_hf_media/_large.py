"""JSON with megabytes of base64 inside, without one call that keeps all other threads waiting.

The interpreter lets no other thread run while C code parses or copies: a worker thread alone does not free
the loop. So long texts stay where they are, and are encoded and decoded slice by slice. Pure.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any, TypeAlias

import attrs

from plugmux.errors import MalformedResponseError
from plugmux.http import Response

__all__ = ["LONG", "Long", "base64_of", "parsed", "spliced"]

LONG = 64 * 1024
"""Bytes from which a text is left where it is."""
MAX_TEXTS = 10_000
"""Texts that are looked at: an answer of more holds no result."""
SLICE = 3 << 18
"""Bytes that are encoded in one call: a multiple of 3, so that the pieces fit together."""

Long: TypeAlias = memoryview
"""A long text inside an answer, as it stands there."""


def parsed(response: Response) -> Any:
    """The answer's JSON; texts of `LONG` bytes and more without escapes are `memoryview`s.

    Raises MalformedResponseError.
    """
    if len(response.content) < LONG:
        return response.json()
    pieces, texts = _lifted(response.content)
    if not texts:
        return response.json()
    mark = _unused_mark(pieces)
    marks = [f"{mark}{number}" for number in range(len(texts))]
    quoted = [*(f'"{name}"'.encode() for name in marks), b""]
    short = b"".join(part for pair in zip(pieces, quoted, strict=True) for part in pair)
    rest = attrs.evolve(response, content=short).json()
    try:
        return _restored(rest, dict(zip(marks, texts, strict=True)))
    except RecursionError as error:
        raise MalformedResponseError("the answer is nested too deeply", status=response.status) from error


def base64_of(data: bytes) -> list[bytes]:
    """Base64 in pieces."""
    view = memoryview(data)
    return [base64.b64encode(view[i : i + SLICE]) for i in range(0, len(view), SLICE)]


def spliced(body: Any, mark: str, text: Sequence[bytes]) -> bytes:
    """`body` as JSON, with the pieces of `text` in place of each `mark`: copied once."""
    first, *others = json.dumps(body, ensure_ascii=False).encode().split(mark.encode())
    return b"".join((first, *(piece for other in others for piece in (*text, other))))


def _lifted(content: bytes) -> tuple[list[bytes], list[Long]]:
    """What stands around the long texts, and the texts without their quotes."""
    view, pieces, texts, done = memoryview(content), [], [], 0
    at = content.find(b'"')
    for _ in range(MAX_TEXTS):
        if at < 0 or (end := _end_of_text(content, at)) < 0:
            break
        if end - at > LONG and content.find(b"\\", at, end) < 0:
            pieces.append(bytes(view[done:at]))
            texts.append(view[at + 1 : end])
            done = end + 1
        at = content.find(b'"', end + 1)
    return [*pieces, bytes(view[done:])], texts


def _end_of_text(content: bytes, start: int) -> int:
    """The place of the quote that ends the text; -1 if it does not end."""
    end = content.find(b'"', start + 1)
    while end > 0 and _is_escaped(content, end):
        end = content.find(b'"', end + 1)
    return end


def _is_escaped(content: bytes, quote: int) -> bool:
    """Whether an odd number of backslashes stands before the quote."""
    start = quote
    while content[start - 1 : start] == b"\\":
        start -= 1
    return (quote - start) % 2 == 1


def _unused_mark(pieces: list[bytes]) -> str:
    mark = "text left out "
    while any(mark.encode() in piece for piece in pieces):
        mark = f"~{mark}"
    return mark


def _restored(value: Any, texts: dict[str, Long]) -> Any:
    match value:
        case str():
            return texts.get(value, value)
        case list():
            return [_restored(item, texts) for item in value]
        case dict():
            keys = (bytes(texts[key]).decode() if key in texts else key for key in value)
            return dict(zip(keys, (_restored(item, texts) for item in value.values()), strict=True))
    return value
