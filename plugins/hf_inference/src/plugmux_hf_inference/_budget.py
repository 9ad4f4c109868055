"""What a foreign program may use: time, memory and depth, charged before each operation is done.

Nothing can stop a thread inside one long C call, so none is begun that by its estimate would take too long:
one unit stands for about a nanosecond, at most. Between them the thread's own CPU clock is read, each time
half a million units are spent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator, Iterable, KeysView, Mapping, ValuesView
from collections.abc import Set as AbstractSet
from itertools import chain
from typing import Any

from attrs import frozen

from plugmux.value import Value

__all__ = ["Budget", "LimitExceededError", "Limits", "thread_clock"]

ENTRY = 32  # bytes, about, that one entry of a container takes
STEP = 100  # units for one step of interpreted code
CLOCK_EVERY = 500_000  # units

thread_clock: Callable[[], float] = getattr(time, "thread_time", time.monotonic)
"""CPU seconds of this thread: a busy machine takes nothing from an honest program."""


@frozen(kw_only=True, eq=False, repr=False)
class Limits(Value):
    """`seconds` of CPU; characters of one value, of the output and of the source; nesting levels.

    What the caller hands in is known to be wanted: each character of it buys `per_input` more, and once more
    for each message, as some templates copy all they have written at every message. Each message buys
    `per_message` seconds.
    """

    seconds: float = 1.0
    per_message: float = 0.001
    value: int = 4_000_000
    output: int = 4_000_000
    total: int = 64_000_000
    source: int = 64 * 1024
    depth: int = 80
    per_input: int = 8


class LimitExceededError(Exception):
    """A program asked for more than its budget. Jinja's own code catches no such class."""


class Budget:
    """What is left for one run."""

    __slots__ = ("_clock", "_deadline", "_depth", "_room", "_spent", "limits", "output", "seconds", "value")

    def __init__(
        self,
        limits: Limits,
        input_size: int = 0,
        messages: int = 0,
        clock: Callable[[], float] = thread_clock,
    ) -> None:
        self.limits = limits
        self.value = limits.value + limits.per_input * input_size
        self.output = limits.output + limits.per_input * input_size
        self._room = limits.total + (8 * limits.per_input + messages) * input_size
        self.seconds = limits.seconds + limits.per_message * messages
        self._clock = clock
        self._deadline = clock() + self.seconds
        self._spent = 0
        self._depth = 0

    def spend(self, units: int) -> None:
        """Charge work, before it is done."""
        self._spent += units
        if self._spent > CLOCK_EVERY:
            self._look()

    def make(self, size: int) -> None:
        """Charge a new value of `size` characters, or bytes of references."""
        if size > self.value:
            raise LimitExceededError(f"a value of {size:,} characters, more than {self.value:,}")
        self.write(size)

    def write(self, size: int) -> None:
        """Charge output, also that which is kept in a variable."""
        self._room -= size
        if self._room < 0:
            raise LimitExceededError("too much text was produced")
        self.spend(size)

    def enter(self) -> None:
        self._depth += 1
        if self._depth > self.limits.depth:
            raise LimitExceededError(f"more than {self.limits.depth} calls inside each other")

    def leave(self) -> None:
        self._depth -= 1

    def weigh(self, value: Any) -> int:
        """About how many characters `value` would be as text. The walk itself is charged.

        Comparing, hashing and printing walk through a value just so; one list inside itself twice, forty
        times over, is small in memory and endless to print.
        """
        kind = type(value)
        if kind is str:
            size = len(value)
        elif kind in _SCALARS:
            return ENTRY
        else:
            size = self._weigh_tree(value)
        if size > self.value:
            raise LimitExceededError(f"a value of {size:,} characters, more than {self.value:,}")
        self.spend(size)
        return size

    def ticking(self, items: Iterable[Any]) -> Generator[Any, None, None]:
        """The same items, each charged: for iterators that C code may drain."""
        for item in items:
            self.write(2 * ENTRY)
            self.spend(STEP)
            yield item

    def _weigh_tree(self, value: Any) -> int:
        total = 0
        level: Collection[Any] = [value]
        for _ in range(self.limits.depth):
            total += ENTRY * len(level) + sum(len(item) for item in level if isinstance(item, str | bytes))
            inner = [item for item in level if isinstance(item, _CONTAINERS)]
            count = sum(len(item) * (2 if isinstance(item, Mapping) else 1) for item in inner)
            if not count:
                return total
            if total + ENTRY * count > self.value:
                raise LimitExceededError(f"a value of more than {self.value:,} characters")
            self.spend(STEP * count)
            level = list(chain.from_iterable(map(_children, inner)))
        raise LimitExceededError(f"a value of more than {self.limits.depth} levels")

    def _look(self) -> None:
        if self._spent > self.seconds * 1_000_000_000 or self._clock() > self._deadline:
            raise LimitExceededError(f"it would run for more than {self.seconds:g} s")
        self._spent = 0


_SCALARS = frozenset({int, float, bool, type(None)})
_CONTAINERS = (list, tuple, Mapping, AbstractSet, KeysView, ValuesView, range)


def _children(item: Any) -> Iterable[Any]:
    return chain(item.keys(), item.values()) if isinstance(item, Mapping) else item
