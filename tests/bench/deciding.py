"""What it costs to find out whom to ask, of 10,000 models: warm, from a cold start, and when they are listed.

Each market is measured in a process of its own, which has its providers on sys.path; times are CPU times of
that process, except for what says `start`: that is a fresh interpreter's wall clock.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import anyio
from market import Market, model_id
from rows import Row

if TYPE_CHECKING:
    from plugmux import AsyncClient
    from plugmux.runtime import Runtime

ROUNDS = 15
COLD_ROUNDS = 7
WIDE = Market(providers=50, models_each=200)
"""10,000 entries of 2,500 models, four candidates a name."""
DEEP = Market(providers=4, models_each=2500)
FLAT = Market(providers=4, models_each=2500, offers=1)
"""10,000 different names."""


def measure() -> Iterator[Row]:
    for market, title in ((WIDE, "50 providers × 200"), (DEEP, "4 providers × 2,500")):
        with Installed(market) as environ:
            warm = _run("warm", market, environ)
            yield Row(what=f"route decision, {title}", value=warm["decision"], unit="µs", budget=50)
            yield Row(what="… a whole plan", value=warm["plan"], unit="µs")
            yield Row(what="… client.explain()", value=warm["explain"], unit="µs")
            yield Row(what="… client.stream() up to its first attempt", value=warm["stream"], unit="µs")
            yield Row(what="… client.models()", value=warm["models"], unit="ms")
            yield Row(what="… all listed anew", value=warm["refresh"], unit="ms")
            yield from _cold_rows(market, environ)
    with Installed(FLAT) as environ:
        near = _run("near", FLAT, environ)["near"]
    yield Row(what="names near to an unknown one, of 10,000", value=near, unit="ms")


def _cold_rows(market: Market, environ: dict[str, str]) -> Iterator[Row]:
    runs = [_run("cold", market, environ) for _ in range(COLD_ROUNDS)]
    for name, what in (
        ("make", "start: the entry points read, the client's parts made"),
        ("load", "start: the model map from disk"),
        ("plan", "start: the first plan on it"),
        ("built", "start: every model of it read"),
    ):
        yield Row(what=f"… {what}", value=median(run[name] for run in runs), unit="ms")


class Installed:
    """The market's providers in a folder, and a home with their lists: the environment to meet them in."""

    def __init__(self, market: Market) -> None:
        self._market = market

    def __enter__(self) -> dict[str, str]:
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        self._market.install(folder)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "PLUGMUX_"))}
        others = ",".join(entry_point.name for entry_point in entry_points(group="plugmux"))
        return kept | {
            "PYTHONPATH": str(folder),
            "PLUGMUX_HOME": str(folder / "home"),
            "PLUGMUX_DISABLE": others,
            "HF_HUB_OFFLINE": "1",
        }

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()


def _run(part: str, market: Market, environ: dict[str, str]) -> dict[str, float]:
    """Measure a part in a process of its own; the first warms the cache on disk for the others."""
    facts = [str(fact) for fact in (market.providers, market.models_each, market.offers)]
    command = [sys.executable, str(Path(__file__).resolve()), part, *facts]
    done = subprocess.run(command, env=environ, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


# In the process of the measurement


async def _warm(market: Market) -> AsyncIterator[tuple[str, float]]:
    import plugmux
    from plugmux.planning import Asked, Planner

    runtime = await _runtime(market)
    names = [model_id(number) for number in range(0, market.ids, market.ids // 200)]

    async def plan(text: str) -> None:
        await Planner(runtime=runtime, asked=Asked(models=(text,))).plan()

    async with plugmux.AsyncClient() as client:
        for name in names:
            await client.complete(name, "Hi")
        yield "plan", await _async_cost(plan, names) * 1e6
        decide = _decision(runtime, market)
        yield "decision", _cost(lambda: [decide(name) for name in names]) / len(names) * 1e6
        yield "explain", await _async_cost(client.explain, names) * 1e6
        yield "stream", await _first_attempts(client, names) * 1e6
        yield "models", await _async_cost(lambda _: client.models(), names[:5]) * 1e3
        yield "refresh", await _async_cost(lambda _: client.models(refresh=True), names[:1]) * 1e3


async def _runtime(market: Market) -> Runtime:
    """A client's parts with every list read."""
    from plugmux.runtime import Runtime
    from plugmux.settings import Settings

    runtime = Runtime.make(Settings.load())
    models_map = await runtime.catalog.current(refresh=True)
    assert len(models_map) == market.providers * market.models_each, f"{len(models_map)} models"
    return runtime


def _decision(runtime: Runtime, market: Market) -> Callable[[str], None]:
    """From a name to its candidates in order: the steps of a plan that only think."""
    from plugmux.names import parse_name
    from plugmux.requests import Options, Policy
    from plugmux.routing import Wish, candidates, task_of

    models_map = runtime.catalog.peek()
    policy, options = Policy(), Options()
    credentials = dict.fromkeys(runtime.registry.instances(), True)

    def decide(text: str) -> None:
        name = parse_name(text, models_map.upstreams)
        models = models_map.of(models_map.resolve(name.id).id or "")
        task = task_of(models, has_audio=False, has_image=False, asked=None)
        wish = Wish(name=name, task=task, policy=policy, options=options)
        route = candidates(models, wish, health=runtime.health.standing, credentials=credentials)
        assert len(route.candidates) == market.offers

    return decide


def _cost(work: Callable[[], object]) -> float:
    """The median CPU seconds of doing it."""
    taken = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return median(taken)


async def _async_cost(work: Callable[[str], Awaitable[object]], names: list[str]) -> float:
    taken = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for name in names:
            await work(name)
        taken.append((time.process_time() - start) / len(names))
    return median(taken)


async def _first_attempts(client: AsyncClient, names: list[str]) -> float:
    """The median CPU seconds from a call to the word that a first candidate is tried."""
    taken = []
    for name in names:
        start = time.process_time()
        async with client.stream(name, "Hi") as stream:
            async for event in stream:
                taken.append(time.process_time() - start)
                assert event.provider.startswith("seller-")
                break
    return median(taken)


async def _cold(market: Market) -> AsyncIterator[tuple[str, float]]:
    from plugmux.planning import Asked, Planner
    from plugmux.runtime import Runtime
    from plugmux.settings import Settings

    settings = Settings.load()
    start = time.perf_counter()
    runtime = Runtime.make(settings)
    made = time.perf_counter()
    models_map = runtime.catalog.peek()
    loaded = time.perf_counter()
    assert len(models_map) == market.providers * market.models_each, f"{len(models_map)} models"
    await Planner(runtime=runtime, asked=Asked(models=(model_id(7),))).plan()
    planned = time.perf_counter()
    assert len(models_map.models) == len(models_map)
    built = time.perf_counter()
    yield "make", (made - start) * 1e3
    yield "load", (loaded - made) * 1e3
    yield "plan", (planned - loaded) * 1e3
    yield "built", (built - planned) * 1e3


async def _near(market: Market) -> AsyncIterator[tuple[str, float]]:
    models_map = (await _runtime(market)).catalog.peek()
    assert models_map.near("modle-12.3-16b")
    yield "near", _cost(lambda: models_map.near("modle-12.3-16b")) * 1e3


async def _main(part: str, market: Market) -> None:
    parts = {"warm": _warm, "cold": _cold, "near": _near}
    print(json.dumps({name: value async for name, value in parts[part](market)}))


if __name__ == "__main__":
    anyio.run(_main, sys.argv[1], Market(*map(int, sys.argv[2:])))
