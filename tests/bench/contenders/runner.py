"""One contender in a process of its own: `python runner.py NAME ADDRESS`.

Needs the standard library and what the contender itself imports. NAME is a module beside this one with

    opened(address) -> a context manager, asynchronous or not, of stream(prompt, take)

where `stream`, asynchronous like its context, asks for one answer and gives each text that comes to `take`.
The first line on standard output says that it is ready, or what is missing; after that each line of standard
input is a turn, answered with one line. Between turns its loop stands still: what a turn leaves undone is
counted in the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import importlib.metadata
import json
import os
import resource
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

FILES = 8192
Turn = dict[str, Any]
"""`prompt`, `requests` in all, `at_once`, and `first`: whether to note when each first text came."""


def main() -> None:
    name, address = sys.argv[1:]
    _allow_many_files()
    try:
        contender = importlib.import_module(name)
        _play(contender.opened(address), importlib.metadata.version(contender.DISTRIBUTION))
    except (ImportError, LookupError) as error:
        _say({"missing": str(error)})


def _play(opened: Any, version: str) -> None:
    if hasattr(opened, "__aenter__"):
        asyncio.run(_play_async(opened, version))
    else:
        _play_blocking(opened, version)


async def _play_async(opened: Any, version: str) -> None:
    async with opened as stream:
        _say({"ready": version})
        for turn in _turns():
            taking, clocks = _Taking(turn), _Clocks()
            asking = (_ask_async(stream, taking) for _ in range(turn["at_once"]))
            await asyncio.gather(*asking)
            _say(clocks.facts(taking))


async def _ask_async(stream: Callable[..., Awaitable[None]], taking: _Taking) -> None:
    while taking.left:
        await stream(taking.left.pop(), taking.start())


def _play_blocking(opened: Any, version: str) -> None:
    """One answer at a time, whatever the turn says."""
    with opened as stream:
        _say({"ready": version})
        for turn in _turns():
            taking, clocks = _Taking(turn), _Clocks()
            while taking.left:
                stream(taking.left.pop(), taking.start())
            _say(clocks.facts(taking))


class _Taking:
    """What is still to be asked in a turn, and what came of it."""

    def __init__(self, turn: Turn) -> None:
        self.left = [turn["prompt"]] * turn["requests"]
        self._timed = turn["first"]
        self._at_once = turn["at_once"]
        self._texts: list[str] = []
        self._first: list[float] = []
        self._opened = (0.0, 0)

    def start(self) -> Callable[[str], object]:
        """What takes the texts of one answer."""
        if not self._timed:
            return self._texts.append
        begun, kept = time.monotonic(), self._texts

        def take(text: str) -> None:
            nonlocal begun
            kept.append(text)
            if begun:
                self._see_first(time.monotonic() - begun)
                begun = 0.0

        return take

    def _see_first(self, seconds: float) -> None:
        self._first.append(seconds)
        if len(self._first) == self._at_once:
            self._opened = (time.process_time(), len(self._texts))

    def facts(self, ended: float) -> dict[str, Any]:
        """The texts, and what of them came for which CPU when all streams had given their first one.
        `ended` is the process's CPU time at the turn's end."""
        words = "".join(self._texts).count(" word")
        cpu, before = self._opened
        steady = {"steady_cpu": ended - cpu, "steady_tokens": len(self._texts) - before}
        return {"tokens": len(self._texts), "words": words, "first": self._first, **steady}


class _Clocks:
    """CPU of all threads of this process, and seconds on the wall."""

    def __init__(self) -> None:
        gc.collect()
        self._wall, self._cpu = time.monotonic(), time.process_time()

    def facts(self, taking: _Taking) -> dict[str, Any]:
        """Stop, and say what the turn was."""
        ended = time.process_time()
        clocks = {"cpu": ended - self._cpu, "seconds": time.monotonic() - self._wall}
        came = taking.facts(ended)
        del taking
        gc.collect()
        return {**clocks, **came, "files": _open_files(), "memory": _memory()}


def _open_files() -> int:
    return sum(1 for _ in Path("/dev/fd").iterdir()) - 1  # the listing's own


def _memory() -> int | None:
    """Bytes of this process that are in memory now; None where there is no /proc."""
    with contextlib.suppress(OSError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return None


def _turns() -> Iterator[Turn]:
    for line in sys.stdin:
        yield json.loads(line)


def _say(value: dict[str, Any]) -> None:
    print(json.dumps(value), file=_OUT, flush=True)


_OUT = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what a contender prints is not an answer


def _allow_many_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


if __name__ == "__main__":
    main()
