"""The hooks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from plugmux.hooks import hookimpl
from plugmux.model import Auth, Model
from plugmux_hf_space._known import static_models as _static_models
from plugmux_hf_space._settings import SETTINGS

if TYPE_CHECKING:
    from plugmux.credentials import Credential
    from plugmux.errors import ProviderError
    from plugmux.events import Event
    from plugmux.requests import Request
    from plugmux.session import Session

__all__ = ["SpacePlugin", "plugin"]


class SpacePlugin:
    """Gradio apps as models. Without a token it is anonymous; see `_trust` for where a token goes."""

    settings = SETTINGS
    default_auth = Auth.OPTIONAL
    keep_alive = 15.0  # Gradio's heartbeat
    own_limits = True  # waking_limit, queue_limit, run_limit
    credential_per_model = True

    def static_models(self, settings: Mapping[str, Any]) -> Sequence[Model]:
        """The known Spaces; of an app at `base_url` nothing is known beforehand."""
        return () if settings.get("base_url") else _static_models()

    @hookimpl
    async def get_models(self, session: Session, wanted: str | None) -> Sequence[Model]:
        from plugmux_hf_space._listing import Lister

        lister = Lister.of(session)
        return await (lister.all() if wanted is None else lister.named(wanted))

    @hookimpl
    async def create_stream(self, request: Request, session: Session) -> AsyncGenerator[Event, None]:
        from contextlib import aclosing

        from plugmux_hf_space._stream import stream

        async with aclosing(stream(request, session)) as events:
            async for event in events:
                yield event

    @hookimpl
    async def authenticate(self, session: Session, challenge: ProviderError | None) -> Credential | None:
        from plugmux_hf_space._trust import credential_of

        return credential_of(session, challenge)


plugin = SpacePlugin()
