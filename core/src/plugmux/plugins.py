"""Loading and quarantining plugins.

Each entry point is loaded alone, in a daemon thread of its own with a time limit: an import that loops for
ever, exits or crashes sets that one plugin aside, with a reason and a remedy, and harms nobody else.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from copy import copy
from types import ModuleType
from typing import Any

import anyio.to_thread
import pluggy

from plugmux.cache import Cache
from plugmux.entrypoints import KNOWN_DISTRIBUTIONS, Found
from plugmux.errors import PluginError
from plugmux.hooks import PROJECT, Hooks
from plugmux.model import Auth, Model
from plugmux.settings import Instance, Settings

__all__ = ["Plugin", "Registry"]

LOAD_SECONDS = 10.0
VERDICT_SECONDS = 30 * 24 * 3600.0


class Plugin:
    """A loaded plugin: `hook` calls its implementations, extensions around them."""

    def __init__(self, found: Found, target: Any, hook: Any) -> None:
        self.found = found
        self.target = target
        self.hook = hook

    @property
    def package(self) -> str:
        """The top-level package its code is in."""
        kind = self.target if isinstance(self.target, ModuleType) else type(self.target)
        module = kind.__name__ if isinstance(kind, ModuleType) else kind.__module__
        return module.partition(".")[0]

    @property
    def keep_alive(self) -> float:
        """Seconds between the signs of life that its service gives while nothing else comes."""
        return float(getattr(self.target, "keep_alive", 0.0))

    @property
    def own_limits(self) -> bool:
        """Whether it has limits of its own for how long its service may work before there is an answer."""
        return bool(getattr(self.target, "own_limits", False))

    def static_models(self, settings: Mapping[str, Any]) -> Sequence[Model]:
        """What it serves as far as is known without asking anybody."""
        models = getattr(self.target, "static_models", ())
        return tuple(models(settings) if callable(models) else models)

    @property
    def default_auth(self) -> Auth:
        return Auth(getattr(self.target, "default_auth", Auth.OPTIONAL))

    @property
    def credential_per_model(self) -> bool:
        """Whether `authenticate` wants to be asked for each model anew (`session.model` says which)."""
        return bool(getattr(self.target, "credential_per_model", False))


class Registry:
    """The plugins of one client: what is there, what is loaded, what was set aside and why."""

    def __init__(
        self,
        *,
        settings: Settings,
        found: dict[str, Found],
        extensions: dict[str, Found] | None = None,
        load_seconds: float = LOAD_SECONDS,
        cache: Cache,
    ) -> None:
        self.settings = settings
        self.found = found
        self.extensions = extensions or {}
        self.load_seconds = load_seconds
        self.problems: dict[str, PluginError] = {}
        self.extension_problems: dict[str, PluginError] = {}
        self._cache = cache
        self._loaded: dict[str, Plugin] = {}
        self._extension_targets: list[tuple[str, Any]] | None = None
        self._gates: dict[str, threading.Lock] = {}
        self._extension_gate = threading.Lock()
        plain = {name: Instance(name=name, plugin=name) for name in found}
        named = plain | dict(settings.instances)
        self._instances = {name: one for name, one in named.items() if name not in settings.disabled}

    def instances(self) -> Mapping[str, Instance]:
        """Every provider by name: installed plugins unconfigured, and the configured instances."""
        return self._instances

    def blocked(self) -> list[str]:
        """The providers that PLUGMUX_DISABLE keeps from being there."""
        return sorted(self.settings.disabled.intersection({*self.found, *self.settings.instances}))

    def plugin_of(self, provider: str) -> Found:
        """What is known of a provider's plugin. Raises PluginError if it is not installed."""
        instance = self.instances().get(provider)
        name = instance.plugin if instance else provider
        if name not in self.found:
            distribution = KNOWN_DISTRIBUTIONS.get(name, f"plugmux-{name}")
            raise PluginError("it is not installed", plugin=name, remedy=f"pip install {distribution}")
        return self.found[name]

    async def load(self, provider: str) -> Plugin:
        """The plugin of a provider, imported now if need be. Raises PluginError."""
        found = self.plugin_of(provider)
        if found.name in self._loaded:
            return self._loaded[found.name]
        return await anyio.to_thread.run_sync(self._load, found, abandon_on_cancel=True)

    def loaded(self, provider: str) -> Plugin | None:
        """The plugin of a provider if it is loaded already."""
        try:
            return self._loaded.get(self.plugin_of(provider).name)
        except PluginError:
            return None

    def credential_remedy(self, provider: str) -> str:
        """How to get a credential for a provider, in its own words if it has some."""
        plugin = self.loaded(provider)
        own = getattr(plugin.target, "credential_remedy", None) if plugin else None
        return str(own) if own else f"log in: plugmux auth login {provider}"

    def owner_of(self, package: str) -> str | None:
        """The loaded plugin that a top-level package belongs to."""
        found = (name for name, plugin in self._loaded.items() if plugin.package == package)
        return next(found, None)

    def verdict(self, name: str) -> str | None:
        """What became of a plugin when it was last loaded, in this process or an earlier one."""
        if name in self.problems:
            return str(self.problems[name])
        if name in self._loaded:
            return "ok"
        found = self.found.get(name)
        said = self._cache.get(f"verdict {name} {found.version if found else ''}")
        return said if isinstance(said, str) else None

    def _load(self, found: Found) -> Plugin:
        with self._gates.setdefault(found.name, threading.Lock()):
            if found.name in self._loaded:
                return self._loaded[found.name]
            if found.name in self.problems:
                raise _again(self.problems[found.name])
            try:
                plugin = self._assemble(found, self._import(found))
            except PluginError as error:
                self.problems[found.name] = _again(error)
                self._remember(found, str(error))
                raise
            self._loaded[found.name] = plugin
            self._remember(found, "ok")
            return plugin

    def _remember(self, found: Found, verdict: str) -> None:
        key = f"verdict {found.name} {found.version}"
        if self._cache.get(key) != verdict:
            self._cache.put(key, verdict, seconds=VERDICT_SECONDS)

    def _import(self, found: Found) -> Any:
        """Import in a daemon thread, so that an endless import costs the time limit and no more."""
        if found.problem is not None:
            raise PluginError(found.problem, plugin=found.name, remedy=found.remedy)
        outcome: Future[Any] = Future()

        def work() -> None:
            try:
                outcome.set_result(found.entry_point.load())
            except BaseException as error:  # noqa: BLE001  SystemExit at import must end here too
                outcome.set_exception(error)

        threading.Thread(target=work, name=f"plugmux-load-{found.name}", daemon=True).start()
        try:
            return outcome.result(self.load_seconds)
        except FutureTimeoutError as error:
            if outcome.done():
                raise _failed(found, error) from error
            raise PluginError(
                f"its import did not end within {self.load_seconds:g} s",
                plugin=found.name,
                remedy=f"PLUGMUX_DISABLE={found.name} blocks it",
            ) from None
        except BaseException as error:
            raise _failed(found, error) from error

    def _assemble(self, found: Found, target: Any) -> Plugin:
        manager = pluggy.PluginManager(PROJECT)
        manager.add_hookspecs(Hooks)
        for name, extension in self._load_extensions():
            try:
                _register(manager, extension, self.extensions[name], as_name=f"{name} (extension)")
            except PluginError as error:
                self._leave_out(name, error)
                manager.unregister(extension)
        # Last registered is first asked: the provider's own first.
        _register(manager, target, found, as_name=found.name)
        if not any(call.plugin is target for call in manager.hook.create_stream.get_hookimpls()):
            raise PluginError(
                "it has no create_stream hook",
                plugin=found.name,
                remedy=f"tell its author; {found.target} is not a provider",
            )
        return Plugin(found, target, manager.hook)

    def _load_extensions(self) -> list[tuple[str, Any]]:
        with self._extension_gate:
            if self._extension_targets is None:
                self._extension_targets = list(self._import_extensions())
            return self._extension_targets

    def _import_extensions(self) -> Iterator[tuple[str, Any]]:
        for name, found in self.extensions.items():
            if name in self.settings.disabled:
                continue
            try:
                yield name, self._import(found)
            except PluginError as error:
                self._leave_out(name, error)

    def _leave_out(self, name: str, error: PluginError) -> None:
        """Do without an extension, and say so once: nothing else would tell that it has no effect."""
        if name not in self.extension_problems:
            self.extension_problems[name] = error
            logging.getLogger("plugmux").warning("an extension is left out: %s", error)


def _again(error: PluginError) -> PluginError:
    """The same error to be raised once more: one that is raised keeps the frames of everybody it passed."""
    again = copy(error)
    again.__cause__ = error.__cause__
    return again


def _register(manager: pluggy.PluginManager, target: Any, found: Found, *, as_name: str) -> None:
    """`as_name` because a distribution may call its provider and its extension the same."""
    try:
        manager.register(target, name=as_name)
        manager.check_pending()
        _check_wrappers(manager, target)
    except Exception as error:
        raise PluginError(
            f"its hooks do not fit: {' '.join(str(error).split())[:300]}",
            plugin=found.name,
            remedy="see the hook specifications in plugmux.hooks, or update it",
        ) from error


def _check_wrappers(manager: pluggy.PluginManager, target: Any) -> None:
    for caller in manager.get_hookcallers(target) or ():
        for implementation in caller.get_hookimpls():
            wraps = implementation.wrapper or implementation.hookwrapper
            if implementation.plugin is target and wraps and caller.name != "create_stream":
                raise ValueError(f"only create_stream may be wrapped, not {caller.name}")


def _failed(found: Found, error: BaseException) -> PluginError:
    reason = f"importing {found.target} raised {type(error).__name__}"
    said = " ".join(str(error).split())[:300]
    if isinstance(error, ModuleNotFoundError):
        remedy = f"pip install --upgrade --force-reinstall {found.distribution}"
    else:
        remedy = f"update or uninstall it: plugmux uninstall {found.distribution}"
    return PluginError(f"{reason}: {said}" if said else reason, plugin=found.name, remedy=remedy)
