"""Width and height from what the caller said of a picture's or film's shape. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from plugmux.errors import InvalidInputError, InvalidRequestError
from plugmux.huggingface.images import size_of
from plugmux.model import Task

__all__ = ["Shape", "shape_of"]

SHAPE_OPTIONS = ("width", "height", "aspect_ratio", "resolution")
SHORT_SIDE = 480
"""Of a film whose resolution was not said."""


@frozen
class Shape:
    """Width and height to send, if any, and the options that they speak for."""

    size: tuple[int, int] | None = None
    said_by: frozenset[str] = frozenset()


def shape_of(given: Mapping[str, Any], task: Task, native: frozenset[str]) -> Shape:
    """The size that `given` options stand for.

    `native` are those that the provider takes as they are: they make no size of their own. One side
    alone is completed by the ratio: the caller's, else 1:1 for pictures and 16:9 for films. Raises
    InvalidRequestError for what is no ratio or resolution.
    """
    sides = {name: given[name] for name in ("width", "height") if name in given}
    if len(sides) == 2:
        return Shape((sides["width"], sides["height"]), frozenset(sides))
    is_film = task in (Task.TEXT_TO_VIDEO, Task.IMAGE_TO_VIDEO)
    computed = {"aspect_ratio", "resolution"} if is_film else {"aspect_ratio"}
    used = frozenset(name for name in computed if name in given and (sides or name not in native))
    if not sides and not used:
        return Shape()
    ratio = _ratio(given.get("aspect_ratio") or ("16:9" if is_film else "1:1"))
    if sides:
        return Shape(_completed(sides, ratio), used - {"resolution"} | set(sides))
    if is_film:
        return Shape(_film(given.get("resolution"), ratio), used)
    return Shape(_picture(str(given["aspect_ratio"])), used)


def _picture(aspect_ratio: str) -> tuple[int, int]:
    try:
        return size_of(aspect_ratio)
    except InvalidInputError as error:
        raise _bad("aspect_ratio", 'a ratio like "16:9"', aspect_ratio) from error


def _film(resolution: str | None, ratio: float) -> tuple[int, int]:
    said = str(resolution or f"{SHORT_SIDE}p").strip().lower()
    if whole := re.fullmatch(r"(\d{2,4})\s*[x*]\s*(\d{2,4})", said):
        return int(whole[1]), int(whole[2])
    lines = re.fullmatch(r"(\d{3,4})p?", said)
    if lines is None:
        raise _bad("resolution", 'one like "720p" or "1280x720"', said)
    short = int(lines[1])
    long = int(short * max(ratio, 1 / ratio)) // 32 * 32
    return (long, short) if ratio >= 1 else (short, long)


def _completed(sides: Mapping[str, int], ratio: float) -> tuple[int, int]:
    if "width" in sides:
        return sides["width"], _even(sides["width"] / ratio)
    return _even(sides["height"] * ratio), sides["height"]


def _even(side: float) -> int:
    return max(8, round(side / 8) * 8)


def _ratio(text: str) -> float:
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*[:/]\s*(\d+(?:\.\d+)?)\s*", str(text))
    ratio = float(found[1]) / float(found[2]) if found and float(found[2]) else 0.0
    if not 0.1 <= ratio <= 10:
        raise _bad("aspect_ratio", 'a ratio like "16:9"', text)
    return ratio


def _bad(option: str, expected: str, given: str) -> InvalidRequestError:
    """The refusal of what makes no size. The next provider may have a word for it (`auto`, `4k`)."""
    return InvalidRequestError(f"{option}: expected {expected}, got {given!r}", param=option)
