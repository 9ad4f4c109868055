"""The model map kept up to date: static lists, then the disk cache, then what the services say now.

Discovery asks all providers side by side, each with a limit of its own. A fresh map imports no plugin. No
task outlives a call: whoever finds the map old refreshes it for a moment and then takes the old one.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import anyio
import attrs

from plugmux.cache import Cache
from plugmux.errors import PluginError, PlugmuxError
from plugmux.guard import isolated
from plugmux.model import Model
from plugmux.modellist import ModelList
from plugmux.modelmap import ModelMap
from plugmux.plugins import Registry

__all__ = ["MAX_MODELS", "Catalog", "Listing"]

MAX_MODELS = 100_000
LIST_SECONDS = 3600.0
NO_SECONDS = 300.0
DISCOVERY_LIMIT = 5.0
LOOKUP_LIMIT = 3.0
PATIENCE = (0.3, 3.0, DISCOVERY_LIMIT)
"""Seconds that a request waits while an old list is renewed: more each time that it was in vain."""
COLD_PATIENCE = 3.0
SLOW_SECONDS = 30.0
MAX_LOOKED_UP = 1000

Ask = Callable[[str, str | None], Awaitable[Sequence[Model]]]
"""(provider, wanted name or None) → what its `get_models` says. Raises a PlugmuxError."""


class Listing:
    """What one provider serves, and how old that knowledge is (`seen_at`, seconds since the epoch)."""

    def __init__(
        self,
        *,
        provider: str,
        models: ModelList | None = None,
        source: str = "none",
        seen_at: float = 0.0,
        fresh_until: float = 0.0,
        problem: str | None = None,
        missed: int = 0,
    ) -> None:
        self.provider = provider
        self.models = models or ModelList.of(())
        self.source = source
        self.seen_at = seen_at
        self.fresh_until = fresh_until
        self.problem = problem
        self.missed = missed
        """How many times in a row nobody had the patience to wait for its renewal."""


class Catalog:
    """The model map of one client. `ask` calls a provider; `cache_key` names its cache entry."""

    def __init__(
        self,
        *,
        registry: Registry,
        cache: Cache,
        ask: Ask,
        cache_key: Callable[[str], str],
        aliases: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.registry = registry
        self.cache = cache
        self.ask = ask
        self.cache_key = cache_key
        self.aliases = aliases or {}
        self.clock = clock
        self.listings: dict[str, Listing] = {}
        self._looked_up: dict[str, tuple[float, tuple[Model, ...], dict[str, str]]] = {}
        self._map: ModelMap | None = None
        self._refreshing = anyio.Lock()

    async def current(self, *, refresh: bool = False, only: Collection[str] | None = None) -> ModelMap:
        """The map: at once when fresh; refreshed for a moment when old; waited for when empty. `only`
        names the providers that matter now."""
        if self._map is None:
            self._read_cache()
        if self._map is not None and not refresh and not self._stale(only):
            return self._map
        async with self._refreshing:
            stale = list(self.registry.instances()) if refresh else self._stale(only)
            if stale:
                patience = DISCOVERY_LIMIT if refresh else self._patience(stale)
                done: set[str] = set()
                with anyio.move_on_after(patience):
                    await self._refresh(stale, done)
                for name in set(stale) - done:
                    self._keep_old(name, f"no list within {patience:g} s", SLOW_SECONDS, missed=True)
                self._rebuild()
        return self.peek()

    def _patience(self, stale: Iterable[str]) -> float:
        """Seconds that may pass until these are renewed."""
        known = [self.listings.get(name) for name in stale]
        waits = [PATIENCE[min(one.missed, len(PATIENCE) - 1)] if one else COLD_PATIENCE for one in known]
        return max(waits)

    def peek(self) -> ModelMap:
        """The map as far as it is known without asking anybody."""
        if self._map is None:
            self._read_cache()
        return self._map or ModelMap(aliases=self.aliases)

    async def look_up(self, name: str, providers: Iterable[str]) -> tuple[ModelMap, dict[str, str]]:
        """Ask these providers for a name that is not in the map. Gives the map with what they found,
        and what each of the others said. "No" is remembered for a while, and for a moment that somebody
        failed to answer."""
        providers = list(providers)
        key = f"{name} @ {','.join(sorted(providers))}"
        until, models, reasons = self._looked_up.get(key, (0.0, (), {}))
        if until < self.clock():
            models, reasons, sure = await self._ask_all(name, providers)
            until = self.clock() + (LIST_SECONDS if models else NO_SECONDS if sure else SLOW_SECONDS)
            self._forget_old_names()
            self._looked_up[key] = until, models, reasons
            if models:
                self._map = self.peek().having(attrs.evolve(model, listed=False) for model in models)
        return self._map or ModelMap(aliases=self.aliases), reasons

    def _forget_old_names(self) -> None:
        """Make room for one more."""
        now = self.clock()
        old = [key for key, (until, *_) in self._looked_up.items() if until < now]
        if len(self._looked_up) - len(old) >= MAX_LOOKED_UP:
            old.append(next(iter(self._looked_up)))
        for key in old:
            self._looked_up.pop(key, None)

    def forget(self, model: Model) -> None:
        """Drop a model that its provider no longer serves, until the next refresh."""
        for listing in self.listings.values():
            if listing.provider == model.provider:
                listing.models = listing.models.without(model)
        for key, (until, models, reasons) in list(self._looked_up.items()):
            kept = tuple(m for m in models if m.key != model.key)
            if len(kept) != len(models):
                self._looked_up[key] = (min(until, self.clock() + NO_SECONDS), kept, reasons)
        self._map = self.peek().without(model)

    def _stale(self, only: Collection[str] | None) -> list[str]:
        now = self.clock()
        names = self.registry.instances() if only is None else only
        old = [n for n in names if n not in self.listings or self.listings[n].fresh_until < now]
        return [name for name in old if name in self.registry.instances()] if old else []

    def _rebuild(self) -> None:
        known = self.registry.instances()
        lists = [listing.models for listing in self.listings.values() if listing.provider in known]
        found = [
            attrs.evolve(model, listed=False)
            for until, models, _ in self._looked_up.values()
            for model in models
            if until >= self.clock()
        ]
        self._map = ModelMap(aliases=self.aliases, lists=lists).having(found)

    def _read_cache(self) -> None:
        for name in self.registry.instances():
            listing = self._cached(name)
            if listing is not None:
                self.listings[name] = listing
        if self.listings:
            self._rebuild()

    def _cached(self, name: str) -> Listing | None:
        plain = self.cache.get(self.cache_key(name), stale=True)
        try:
            models = ModelList.from_plain(plain)
            seen_at = float(plain["seen_at"])
            until = float(plain.get("fresh_until", seen_at + LIST_SECONDS))
            source, problem = plain.get("source", "cache"), plain.get("problem")
            missed = int(plain.get("missed", 0))
        except (TypeError, ValueError, KeyError):
            return None
        return Listing(
            provider=name,
            models=models,
            source=source,
            seen_at=seen_at,
            fresh_until=until,
            problem=problem,
            missed=missed,
        )

    async def _refresh(self, names: Sequence[str], done: set[str]) -> None:
        async def refresh_one(name: str) -> None:
            await self._refresh_one(name)
            done.add(name)

        async with anyio.create_task_group() as group:
            for name in names:
                group.start_soon(refresh_one, name)

    async def _refresh_one(self, name: str) -> None:
        now = self.clock()
        try:
            with anyio.fail_after(DISCOVERY_LIMIT):
                answer = await self.ask(name, None)
            models = ModelList.of(stamp(answer, name, "live", now))
            with isolated(name, "get_models"):
                plain = models.to_plain() | {"seen_at": now}
        except (PlugmuxError, TimeoutError) as error:
            self._keep_old(name, str(error) or f"no list within {DISCOVERY_LIMIT:g} s", NO_SECONDS)
            return
        self.listings[name] = Listing(
            provider=name, models=models, source="live", seen_at=now, fresh_until=now + LIST_SECONDS
        )
        self.cache.put(self.cache_key(name), plain, seconds=LIST_SECONDS)

    def _keep_old(self, name: str, problem: str, seconds: float, *, missed: bool = False) -> None:
        """The last known list, else the static one; asked again in `seconds`. `missed`: it was on its way."""
        now = self.clock()
        old = self.listings.get(name) or Listing(provider=name, seen_at=now)
        if not old.models:
            old.models, old.source = ModelList.of(self._static(name, now)), "static"
        old.problem = problem
        old.missed = min(old.missed + 1, len(PATIENCE)) if missed else 0
        old.fresh_until = now + seconds
        self.listings[name] = old
        plain = old.models.to_plain() | {
            "seen_at": old.seen_at,
            "fresh_until": old.fresh_until,
            "source": old.source,
            "problem": problem,
            "missed": old.missed,
        }
        self.cache.put(self.cache_key(name), plain, seconds=LIST_SECONDS)

    def _static(self, name: str, now: float) -> tuple[Model, ...]:
        plugin = self.registry.loaded(name)
        try:
            with isolated(name, "static_models"):
                known = plugin.static_models(self.registry.settings.for_provider(name)) if plugin else ()
                return stamp(known, name, "static", now)
        except PluginError:
            return ()

    async def _ask_all(
        self, wanted: str, providers: Sequence[str]
    ) -> tuple[tuple[Model, ...], dict[str, str], bool]:
        """What was found, the reasons of those who found nothing, and whether all of them gave an answer."""
        found: dict[str, tuple[Model, ...]] = {}
        reasons: dict[str, str] = {}

        async def ask_one(name: str) -> None:
            try:
                with anyio.fail_after(LOOKUP_LIMIT):
                    answer = await self.ask(name, wanted)
                found[name] = stamp(answer, name, "look-up", self.clock())
                if not found[name]:
                    reasons[name] = "does not serve it"
            except TimeoutError:
                reasons[name] = f"gave no answer within {LOOKUP_LIMIT:g} s"
            except PlugmuxError as error:
                reasons[name] = str(error)

        async with anyio.create_task_group() as group:
            for name in providers:
                group.start_soon(ask_one, name)
        models = tuple(model for name in providers for model in found.get(name, ()))
        said = {name: reasons[name] for name in providers if name in reasons}  # in the same order every time
        return models, said, len(found) == len(providers)


def stamp(models: Any, provider: str, source: str, now: float) -> tuple[Model, ...]:
    """Check what a plugin handed over and write on it where it comes from. Raises PluginError."""
    if not isinstance(models, Sequence) or isinstance(models, str | bytes):
        raise PluginError(
            f"get_models gave {type(models).__name__} where a sequence of Model belongs", plugin=provider
        )
    if len(models) > MAX_MODELS:
        raise PluginError(
            f"it lists {len(models):,} models; at most {MAX_MODELS:,} are taken", plugin=provider
        )
    for model in models:
        if not isinstance(model, Model):
            raise PluginError(f"get_models gave a {type(model).__name__} among its models", plugin=provider)
    return tuple(attrs.evolve(m, provider=provider, source=source, seen_at=now) for m in models)
