"""How providers say sizes, lengths and options: what the entries of the table are written with."""

from __future__ import annotations

from typing import Any

from plugmux_hf_media._routes import Take

__all__ = [
    "image_size",
    "same",
    "seconds_in_words",
    "size_with_star",
    "size_with_x",
    "target_size",
    "whole_seconds",
    "width_and_height",
]


def same(*names: str, **others: Take) -> dict[str, Take]:
    """Options that go by their own names, and those that do not."""
    return dict(zip(names, names, strict=True)) | others


def width_and_height(width: int, height: int) -> dict[str, Any]:
    return {"width": width, "height": height}


def image_size(width: int, height: int) -> dict[str, Any]:
    return {"image_size": {"width": width, "height": height}}


def target_size(width: int, height: int) -> dict[str, Any]:
    return {"target_size": {"width": width, "height": height}}


def size_with_x(width: int, height: int) -> dict[str, Any]:
    return {"size": f"{width}x{height}"}


def size_with_star(width: int, height: int) -> dict[str, Any]:
    return {"size": f"{width}*{height}"}


def seconds_in_words(seconds: float) -> dict[str, Any]:
    """fal's video models that have a choice of lengths name them as text: "5", "10" (documented)."""
    return {"duration": f"{seconds:g}"}


def whole_seconds(seconds: float) -> dict[str, Any]:
    return {"duration": int(seconds) if float(seconds).is_integer() else seconds}
