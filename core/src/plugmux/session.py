"""What a hook may use: one `Session` an attempt, a look-up or a refresh."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import anyio
from attrs import define, field

from plugmux.cache import Cache
from plugmux.credentials import Credential
from plugmux.errors import PluginError, PlugmuxError
from plugmux.guard import isolated
from plugmux.http import Http
from plugmux.media import Media, MediaKind
from plugmux.messages import Message
from plugmux.model import Model
from plugmux.prompts import plain_prompt
from plugmux.requests import Limits
from plugmux.settings import Settings
from plugmux.stopwatch import Stopwatch
from plugmux.transport import Transport
from plugmux.value import Shown

__all__ = ["Resources", "Session"]


class Closable(Protocol):
    async def aclose(self) -> None: ...


Resource = TypeVar("Resource", bound=Closable)


class Resources:
    """Things kept open between attempts, made when first wanted and closed with the client."""

    def __init__(self) -> None:
        self._open: dict[str, Closable] = {}
        self._closings = 0
        self._locks: dict[str, anyio.Lock] = {}

    async def get(self, key: str, factory: Callable[[], Awaitable[Resource]]) -> Resource:
        """Raises PlugmuxError when they are closed while this one is being made."""
        async with self._locks.setdefault(key, anyio.Lock()):
            if key not in self._open:
                closings = self._closings
                self._open[key] = await factory()
                if self._closings != closings:
                    await self.aclose()
                    raise PlugmuxError("the client was closed")
            return self._open[key]  # type: ignore[return-value]

    async def aclose(self) -> None:
        """Close all, newest first. One that fails or hangs does not keep the others open."""
        self._closings += 1
        while self._open:
            _, resource = self._open.popitem()
            with anyio.move_on_after(5, shield=True):
                try:
                    await resource.aclose()
                except Exception:  # noqa: BLE001, S112  a plugin's own: its failure is not the client's
                    continue


@define(kw_only=True, eq=False, repr=False)
class Session(Shown):
    """What one call of a hook may use.

    `provider`    the instance's name, `settings` its settings (environment over config file)
    `http`        HTTP with this attempt's credential and limits (`Http`)
    `credential`  the provider's credential, or None; `authenticate` has what was refused, if anything
    `token`       what the caller gave as `token=`, as a function that reveals it, or None
    `cache`       small JSON values on disk, the provider's own
    `model`       the model of the attempt; None elsewhere
    `environ`     the process's environment as the client sees it; `home` the settings folder
    """

    provider: str
    settings: Mapping[str, Any] = field(repr=False)
    http: Http
    cache: Cache
    credential: Credential | None = None
    token: str | None = field(default=None, repr=False)
    model: Model | None = None
    limits: Limits
    watch: Stopwatch
    transport: Transport = field(repr=False)
    environ: Mapping[str, str] = field(factory=lambda: dict(os.environ), repr=False)
    home: Path = field(factory=lambda: Settings.load().home)
    prompt_formats: Callable[..., str | None] | None = field(default=None, repr=False)
    """The `format_prompt` hook: the provider's own, then those of extensions."""
    _resources: Resources = field(factory=Resources, repr=False)

    async def resource(self, key: str, factory: Callable[[], Awaitable[Resource]]) -> Resource:
        """Something kept open between attempts: `factory` makes it once, the client closes it."""
        return await self._resources.get(f"{self.provider}:{key}", factory)

    def format_prompt(self, messages: Sequence[Message], *, continue_final: bool = False) -> str:
        """One flat prompt for this attempt's model: by the provider's own `format_prompt`, else by an
        extension's, else as plain `User:` and `Assistant:` lines. Raises PluginError."""
        text: object = None
        if self.prompt_formats is not None:
            with isolated(self.provider, "format_prompt"):
                text = self.prompt_formats(model=self.model, messages=messages, continue_final=continue_final)
        if text is None:
            return plain_prompt(messages, continue_final=continue_final)
        if not isinstance(text, str):
            raise PluginError(f"format_prompt gave a {type(text).__name__}", plugin=self.provider)
        return text

    async def download(
        self,
        url: str,
        *,
        kind: MediaKind,
        own: Iterable[str] = (),
        max_bytes: int | None = None,
        prompt: str | None = None,
    ) -> Media:
        """Fetch a result (http, https or `data:` URL).

        Refuses private addresses, other than those of the service's own URLs (`own`); sends the
        credential to its own origins only; raises MalformedResponseError above `max_bytes` (1 GiB).
        """
        from plugmux.downloads import MAX_DOWNLOAD, Fetcher

        fetcher = Fetcher(http=self.http, own=own, max_bytes=max_bytes or MAX_DOWNLOAD)
        return await fetcher.fetch(url, kind=kind, prompt=prompt)

    @asynccontextmanager
    async def cleanup(self, seconds: float = 2.0) -> AsyncGenerator[None, None]:
        """Shielded time, `seconds` at most, for telling a server to stop.

        For a `finally` or an `except BaseException`: a plain await there never reaches the server when
        the caller was cancelled. What fails inside is dropped: the answer is over.
        """
        from plugmux.errors import ProviderError

        with anyio.move_on_after(seconds, shield=True):
            try:
                yield
            except ProviderError:
                return
