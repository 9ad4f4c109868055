"""How the providers are: which plugin is behind each, whether it loads, what it lists."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
from attrs import frozen

from plugmux.errors import PlugmuxError
from plugmux.unread import unread_settings
from plugmux.value import Value

if TYPE_CHECKING:
    from plugmux.plugins import Plugin
    from plugmux.runtime import Runtime

__all__ = ["ProviderStatus", "load", "statuses", "unread"]


@frozen(kw_only=True, eq=False, repr=False)
class ProviderStatus(Value):
    """A provider as far as it is known: `verdict` is "ok", what is wrong with it, or None if it was
    never loaded; `models` counts what it lists, `problem` is why its last listing failed."""

    name: str
    plugin: str
    distribution: str | None
    version: str | None
    verdict: str | None
    models: int | None = None
    source: str | None = None
    problem: str | None = None


async def statuses(runtime: Runtime, *, check: bool) -> list[ProviderStatus]:
    """Every provider by name. `check` loads each."""
    if check:
        await _load_all(runtime)
    runtime.catalog.peek()
    return [_status(runtime, name) for name in sorted(runtime.registry.instances())]


async def load(runtime: Runtime, providers: Iterable[str]) -> None:
    """Load their plugins, so that more is known of them."""
    for name in providers:
        with suppress(PlugmuxError):  # the verdict has it now
            await runtime.registry.load(name)


def unread(runtime: Runtime) -> list[str]:
    """What is set and has no effect. A plugin's own settings are looked at if it is loaded."""
    registry = runtime.registry
    names = {*registry.found, *registry.settings.instances}
    declared = {name: _declared(registry.loaded(name)) for name in names}
    return unread_settings(registry.settings, declared, registry.extensions)


def _declared(plugin: Plugin | None) -> tuple[str, ...] | None:
    names = getattr(plugin.target, "settings", None) if plugin else None
    return tuple(names) if isinstance(names, list | tuple | set | frozenset) else None


async def _load_all(runtime: Runtime) -> None:
    async def load(name: str) -> None:
        try:
            await runtime.registry.load(name)
        except PlugmuxError:
            return  # the verdict has it

    async with anyio.create_task_group() as group:
        for name in runtime.registry.instances():
            group.start_soon(load, name)


def _status(runtime: Runtime, name: str) -> ProviderStatus:
    registry = runtime.registry
    instance = registry.instances()[name]
    found = registry.found.get(instance.plugin)
    listing = runtime.catalog.listings.get(name)
    blocking = runtime.blockings.get(instance.plugin)
    verdict = registry.verdict(instance.plugin) if found else f"plugin {instance.plugin!r} is not installed"
    if found is not None and found.problem:
        verdict = f"{found.problem} ({found.remedy})" if found.remedy else found.problem
    return ProviderStatus(
        name=name,
        plugin=instance.plugin,
        distribution=found.distribution if found else None,
        version=found.version if found else None,
        verdict=verdict,
        models=len(set(listing.models.ids)) if listing else None,
        source=listing.source if listing else None,
        problem=str(blocking) if blocking else listing.problem if listing else None,
    )
