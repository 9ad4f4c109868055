"""The four hooks."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from importlib import import_module
from typing import TYPE_CHECKING, Any

import attrs

from plugmux.hooks import hookimpl
from plugmux.model import Auth, Capability, Model, Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from plugmux.credentials import Credential
    from plugmux.errors import ProviderError
    from plugmux.events import Event
    from plugmux.messages import Message
    from plugmux.requests import Request
    from plugmux.session import Session

__all__ = ["ChatUI", "cohere", "plugin"]

HOSTED = "https://huggingface.co/chat"
ACCOUNT = "huggingface"
"""The hosted site lets the user's own account pay, as the router does."""


class ChatUI:
    """A chat-ui server as a provider. `hub_ids` gives Hub ids for a server's own names of models."""

    settings = ("base_url", "cookies", "browser", "browser_path", "impersonate")
    credential_remedy = "log in with a browser: plugmux auth login hf-chat"

    def __init__(
        self,
        base_url: str,
        *,
        default_auth: Auth,
        static_models: Sequence[Model] = (),
        hub_ids: Mapping[str, str] | None = None,
    ) -> None:
        self.base_url = base_url
        self.default_auth = default_auth
        self._static_models = tuple(static_models)
        self.hub_ids = dict(hub_ids or {})

    def static_models(self, settings: Mapping[str, Any]) -> Sequence[Model]:
        """What is known of the server; of another one at `base_url` nothing is known beforehand."""
        given = str(settings.get("base_url") or self.base_url).rstrip("/")
        return self._static_models if given == self.base_url else ()

    @hookimpl
    async def get_models(self, session: Session, wanted: str | None) -> Sequence[Model]:
        await _imported()
        from plugmux_hf_chat import _models

        found = await _models.listed(session, self._base(session), self.hub_ids)
        if wanted is None:
            return found
        return [model for model in found if wanted.lower() in (model.id.lower(), model.remote_id.lower())]

    @hookimpl
    async def create_stream(self, request: Request, session: Session) -> AsyncGenerator[Event, None]:
        await _imported()
        from plugmux_hf_chat._site import open_site
        from plugmux_hf_chat._turn import Turns, stream_turn

        turns = await session.resource("turns", Turns.start)
        site = await open_site(session, self._base(session), request.options.extra_headers)
        async with aclosing(stream_turn(request, site, turns)) as events:
            async for event in events:
                yield event

    @hookimpl
    async def authenticate(self, session: Session, challenge: ProviderError | None) -> Credential | None:
        from plugmux_hf_chat._credentials import find_credential

        return await find_credential(session, self._base(session), challenge)

    @hookimpl
    def format_prompt(self, model: Model, messages: Sequence[Message], continue_final: bool) -> str | None:
        from plugmux_hf_chat._wire import transcript

        return transcript(messages, continue_final=continue_final)

    async def login(self, session: Session, echo: Callable[[str], Any]) -> Credential | None:
        """Log in with a browser window; for `plugmux auth login`. Raises PlugmuxError."""
        from plugmux_hf_chat._login import log_in

        return await log_in(session, self._base(session), echo)

    async def logout(self, session: Session, echo: Callable[[str], Any]) -> bool:
        """Forget what `login` kept. Whether there was anything."""
        from plugmux_hf_chat._login import log_out

        return await log_out(session, self._base(session))

    def _base(self, session: Session) -> str:
        from plugmux_hf_chat._site import checked_base

        return checked_base(session.settings.get("base_url") or self.base_url)


async def _imported() -> None:
    """Import what the hooks need in a thread, once: curl_cffi takes long enough to hold up an event loop."""
    if all(name in sys.modules for name in _NEEDED):
        return
    import anyio

    await anyio.to_thread.run_sync(lambda: [import_module(name) for name in _NEEDED])


_NEEDED = ("curl_cffi", "plugmux_hf_chat._models", "plugmux_hf_chat._turn")


def _static(id: str, *, vision: bool = False, **facts: Any) -> Model:
    told = {Capability.VISION: True} if vision else {}
    return Model(
        id=id,
        tasks=(Task.CONVERSATIONAL, Task.IMAGE_TEXT_TO_TEXT) if vision else (Task.CONVERSATIONAL,),
        inputs=("image",) if vision else (),
        capabilities={**told, Capability.PREFILL: False},
        **facts,
    )


plugin = ChatUI(
    HOSTED,
    default_auth=Auth.REQUIRED,
    static_models=[
        attrs.evolve(model, auth=Auth.REQUIRED, account=ACCOUNT)
        for model in (
            _static("omni", vision=True, default=True),
            _static("moonshotai/Kimi-K2.6", vision=True),
            _static("openai/gpt-oss-120b"),
            _static("openai/gpt-oss-20b"),
            _static("meta-llama/Llama-3.3-70B-Instruct"),
            _static("deepseek-ai/DeepSeek-R1"),
            _static("Qwen/Qwen3-235B-A22B-Instruct-2507"),
            _static("google/gemma-3-27b-it", vision=True),
        )
    ],
)
"""HuggingChat. Its static list is what stands in for a site that cannot be asked."""

_COHERE = {
    "command-a-03-2025": "CohereLabs/c4ai-command-a-03-2025",
    "command-r-plus-08-2024": "CohereLabs/c4ai-command-r-plus-08-2024",
    "command-r-08-2024": "CohereLabs/c4ai-command-r-08-2024",
    "command-r7b-12-2024": "CohereLabs/c4ai-command-r7b-12-2024",
    "command-r7b-arabic-02-2025": "CohereLabs/c4ai-command-r7b-arabic-02-2025",
}

cohere = ChatUI(
    "https://coherelabs-c4ai-command.hf.space",
    default_auth=Auth.NONE,
    hub_ids=_COHERE,
    static_models=[
        _static(hub_id, remote_id=name, auth=Auth.NONE, default=name == "command-a-03-2025")
        for name, hub_id in _COHERE.items()
    ],
)
"""Cohere's own Space runs chat-ui for its models, without login."""
