"""What one client keeps: plugins, the model map, credentials, connections, health.

Nothing here runs by itself: no task, no thread of its own. A runtime belongs to the event loop of its
first use; the client makes a new one when it is used on another loop.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import anyio

from plugmux.cache import Cache
from plugmux.catalog import Catalog
from plugmux.credentials import Credential, Secret
from plugmux.entrypoints import find
from plugmux.errors import PluginError, PlugmuxError, ProviderError
from plugmux.guard import isolated
from plugmux.health import Health
from plugmux.http import Http, conceal
from plugmux.installed import installed
from plugmux.model import Model
from plugmux.plugins import Plugin, Registry
from plugmux.requests import Limits
from plugmux.session import Resources, Session
from plugmux.settings import Settings
from plugmux.stopwatch import Stopwatch
from plugmux.transport import Transport, TransportFactory
from plugmux.watchdog import Blocking, Watchdog

__all__ = ["Clocks", "Runtime"]

log = logging.getLogger("plugmux")

AUTHENTICATE_SECONDS = 10.0
HEALTH_SECONDS = 24 * 3600.0
HOOK_LIMITS = Limits(first_sign=5.0, idle=5.0, total=10.0)


def _chance() -> float:
    import random

    return random.random()


class Clocks(NamedTuple):
    """Time and chance, as arguments: every rule can be tested without waiting."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    jitter: Callable[[], float] = _chance


class Runtime:
    """The parts of one client on one event loop."""

    def __init__(
        self,
        *,
        settings: Settings,
        token: Secret | None = None,
        registry: Registry,
        transport: Transport,
        health: Health,
        clocks: Clocks,
    ) -> None:
        self.settings = settings
        self.token = token
        self.registry = registry
        self.transport = transport
        self.health = health
        self.clocks = clocks
        self.resources = Resources()
        self.users = 0
        self.closings = 0
        """How often it was closed: who began before a closing knows from it why the connection is gone."""
        self.blockings: dict[str, Blocking] = {}
        self._credentials: dict[tuple[str, str], Credential | None] = {}
        self._authenticating: dict[tuple[str, str], anyio.Lock] = {}
        self.watchdog = Watchdog(self.registry.owner_of, self._demote)
        self.catalog = Catalog(
            registry=self.registry,
            cache=self.cache("models"),
            ask=self.ask_models,
            cache_key=self._listing_key,
            aliases=self.settings.aliases,
            clock=self.clocks.wall,
        )

    @classmethod
    def make(
        cls,
        settings: Settings,
        *,
        token: Secret | None = None,
        clocks: Clocks | None = None,
        health: Health | None = None,
        entry_points: Any = None,
        transport_factory: TransportFactory | None = None,
    ) -> Runtime:
        """A runtime for these settings. `entry_points` and `transport_factory` are for tests."""
        folder = settings.cache_folder
        there = installed(Cache(folder))
        clocks = clocks or Clocks()
        plugins, extensions = find(
            there.version, entry_points=there if entry_points is None else entry_points
        )
        registry = Registry(
            settings=settings,
            found=plugins,
            extensions=extensions,
            cache=Cache(folder / "plugins" if folder else None),
        )
        transport = Transport(
            factory=transport_factory, kind=settings.transport, user_agent=f"plugmux/{there.version}"
        )
        runtime = cls(
            settings=settings,
            token=token,
            registry=registry,
            transport=transport,
            health=health or Health(clocks.monotonic),
            clocks=clocks,
        )
        if health is None:
            runtime.recall_health()
        return runtime

    def cache(self, name: str) -> Cache:
        folder = self.settings.cache_folder
        return Cache(folder / name if folder else None, clock=self.clocks.wall)

    def session(
        self,
        provider: str,
        *,
        limits: Limits = HOOK_LIMITS,
        credential: Credential | None = None,
        model: Model | None = None,
        token: str | None = None,
    ) -> Session:
        """A session for one call of a hook."""
        watch = Stopwatch(limits, self.clocks.monotonic)
        return Session(
            provider=provider,
            settings=self.settings.for_provider(provider),
            http=Http(self.transport, watch, credential),
            cache=self.cache(f"provider-{provider}"),
            credential=credential,
            token=token or (self.token.reveal() if self.token else None),
            model=model,
            limits=limits,
            watch=watch,
            transport=self.transport,
            environ=self.settings.environ,
            home=self.settings.home,
            resources=self.resources,
        )

    async def credential(
        self,
        provider: str,
        *,
        model: Model | None = None,
        token: str | None = None,
        challenge: ProviderError | None = None,
        refused: Credential | None = None,
    ) -> Credential | None:
        """The provider's credential, found once and renewed on a challenge: the error and what was
        `refused`. Raises PlugmuxError."""
        plugin = await self.registry.load(provider)
        if token is not None:
            return await self._authenticate(plugin, provider, model, token, challenge, refused)
        key = provider, model.id if model and plugin.credential_per_model else ""
        async with self._authenticating.setdefault(key, anyio.Lock()):
            if key not in self._credentials or challenge is not None:
                found = await self._authenticate(plugin, provider, model, None, challenge, refused)
                if challenge is not None and found is None:
                    return None
                self._credentials[key] = found
            return self._credentials[key]

    def has_credential(self, provider: str) -> bool | None:
        """Whether a provider has a credential; None while nobody has asked it."""
        key = provider, ""
        return self._credentials[key] is not None if key in self._credentials else None

    async def _authenticate(
        self,
        plugin: Plugin,
        provider: str,
        model: Model | None,
        token: str | None,
        challenge: ProviderError | None,
        refused: Credential | None,
    ) -> Credential | None:
        session = self.session(provider, model=model, token=token, credential=refused)
        with isolated(provider, "authenticate"), anyio.fail_after(AUTHENTICATE_SECONDS):
            awaitable = plugin.hook.authenticate(session=session, challenge=challenge)
            found = await awaitable if awaitable is not None else None
        if found is not None and not isinstance(found, Credential):
            kind = type(found).__name__
            raise PluginError(f"authenticate gave {kind} where a Credential belongs", plugin=provider)
        return found

    async def ask_models(self, provider: str, wanted: str | None) -> Sequence[Model]:
        """What a provider's `get_models` says. Raises PlugmuxError."""
        plugin = await self.registry.load(provider)
        try:
            credential = await self.credential(provider)
        except PlugmuxError:
            credential = None  # public lists need none; what needs one says so itself
        session = self.session(provider, credential=credential)
        try:
            with isolated(provider, "get_models"):
                awaitable = plugin.hook.get_models(session=session, wanted=wanted)
                if awaitable is None:
                    return plugin.static_models(session.settings)
                return await awaitable  # type: ignore[no-any-return]
        except ProviderError as error:  # what it says is shown, and kept on disk
            if credential is not None:
                conceal(error, credential)
            raise

    def _listing_key(self, provider: str) -> str:
        """Names a provider's list in the cache: by plugin version, settings, and what its credential may
        be. The plugin is not asked, since a fresh map imports none."""
        facts = [provider, self.token.reveal() if self.token else ""]
        with suppress(PluginError):  # it is not installed
            found = self.registry.plugin_of(provider)
            facts += [found.distribution, found.version]
        facts += [f"{k}={v}" for k, v in sorted(self.settings.for_provider(provider).items())]
        environ = self.settings.environ
        facts += [f"{k}={v}" for k, v in sorted(environ.items()) if k.startswith(("HF_", "HUGGING"))]
        facts += [_age(path) for path in _credential_files(environ, self.settings.home)]
        known = chr(0).join(facts).encode("utf-8", "surrogateescape")  # as the system gives a path's bytes
        return f"{provider} {hashlib.sha256(known).hexdigest()[:24]}"

    def _demote(self, blocking: Blocking) -> None:
        """A plugin blocked the loop: say so, and let everybody else come before it for a while."""
        log.warning("plugin %r: %s", blocking.plugin, blocking)
        self.blockings[blocking.plugin] = blocking
        for name, instance in self.registry.instances().items():
            if instance.plugin == blocking.plugin:
                self.health.demote(name)

    def remember_health(self) -> None:
        """Leave what was seen of the candidates for the next process."""
        if self.health.changed:
            self.health.changed = False
            report = {"seen_at": self.clocks.wall(), "records": self.health.to_plain()}
            self.cache("health").put("health", report, seconds=HEALTH_SECONDS)

    def recall_health(self) -> None:
        """Take over what an earlier process saw; what is damaged is as good as nothing."""
        report = self.cache("health").get("health")
        with suppress(KeyError, TypeError, ValueError):
            self.health.restore(report["records"], age=max(0.0, self.clocks.wall() - report["seen_at"]))

    async def disconnect(self) -> None:
        """Close what is open and keep what is known. Who comes while that goes on opens anew."""
        self.closings += 1
        self.remember_health()
        resources, self.resources = self.resources, Resources()
        await self.transport.aclose()  # no await comes before it lets go of its connections
        await resources.aclose()


def _credential_files(environ: Mapping[str, str], home: Path) -> list[Path]:
    hub = Path(environ.get("HF_HOME") or "~/.cache/huggingface")
    token = Path(environ.get("HF_TOKEN_PATH") or hub / "token")
    return [token, home / "credentials.json", home / "config.toml"]


def _age(path: Path) -> str:
    try:
        path = path.expanduser()
        status = path.stat()
    except (OSError, RuntimeError):  # RuntimeError: there is no home folder
        return ""
    return f"{path}:{status.st_mtime_ns}:{status.st_size}"
