"""Answers, pictures and sounds that nobody can take for a model's."""

from __future__ import annotations

import struct
import zlib

__all__ = ["answer", "picture", "pieces", "sound"]

_COLOURS = (b"\xff\xd2\x1e", b"\x1f\x1f\x1f")
_RATE = 8000


def answer(prompt: str) -> str:
    """The text that the sandbox answers to a prompt: it says what it is and quotes the prompt."""
    said = " ".join(prompt.split())
    quoted = said if len(said) <= 80 else f"{said[:79]}…"
    return (
        "This is the plugmux sandbox, and this answer is synthetic: no model was asked. "
        f"The prompt was “{quoted}”, {len(prompt)} characters long."
    )


def pieces(text: str) -> list[str]:
    """`text` cut into words with the space before them, to be streamed; joined they are `text`."""
    words = text.split(" ")
    return words[:1] + [f" {word}" for word in words[1:]]


def picture(width: int = 64, height: int = 64) -> bytes:
    """A PNG of black and yellow stripes."""
    rows = bytearray()
    for y in range(height):
        rows.append(0)  # filter type: none
        for x in range(width):
            rows += _COLOURS[(x + y) // 8 % 2]
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(rows))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def sound(seconds: float = 0.25) -> bytes:
    """A WAV file with a square wave of 400 Hz."""
    half = _RATE // 800
    body = bytes(160 if i // half % 2 else 96 for i in range(int(_RATE * seconds)))
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, _RATE, _RATE, 1, 8)
    data = struct.pack("<4sI", b"data", len(body)) + body
    return struct.pack("<4sI4s", b"RIFF", 4 + len(form) + len(data), b"WAVE") + form + data
