"""What all values share: equality, hash and text.

attrs would compile these three anew for each class, at every start: for some fifty classes nearly a third
of what plugmux itself takes to its first request. Here they are written once, and read the fields as attrs
would.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from attrs import fields

__all__ = ["Shown", "Value"]


class Shown:
    """The base of `@define(repr=False)` classes: the text tells the fields, but those with `repr=False`."""

    __slots__ = ()

    def __repr__(self) -> str:
        kind: type = self.__class__
        names = _shown(kind)
        shown = ", ".join(f"{name}={value!r}" for name, value in zip(names, _read(self, names), strict=True))
        return f"{kind.__qualname__}({shown})"


class Value(Shown):
    """The base of `@frozen(eq=False, repr=False)` classes; equal are two of one class with equal fields.

    `field(eq=False)` and `field(hash=False)` leave a field out, as they do in attrs.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        kind: type = self.__class__
        names = _compared(kind)
        return _read(self, names) == _read(other, names) if other.__class__ is kind else NotImplemented

    def __hash__(self) -> int:
        kind: type = self.__class__
        return hash((kind, _read(self, _hashed(kind))))


def _read(value: object, names: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple([getattr(value, name) for name in names])


@cache
def _compared(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind) if field.eq)


@cache
def _hashed(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind) if (field.eq if field.hash is None else field.hash))


@cache
def _shown(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind) if field.repr)
