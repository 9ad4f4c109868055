"""plugmux's blocking Client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import plugmux

DISTRIBUTION = "plugmux"
Take = Callable[[str], object]


@contextmanager
def opened(address: str) -> Iterator[Callable[[str, Take], None]]:
    """`address` comes to plugmux as PLUGMUX_INSTANCES does: by the environment."""
    with plugmux.Client() as client:

        def stream(prompt: str, take: Take) -> None:
            with client.stream("local::bench", prompt) as events:
                for event in events:
                    if isinstance(event, plugmux.Text):
                        take(event.text)

        yield stream
