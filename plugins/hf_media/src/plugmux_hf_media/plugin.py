"""The hooks of `hf-media`, and what plugmux reads beside them.

Settings: `router_url`, `hub_url`, `token`, `bill_to` (an organisation that pays), `poll_seconds` (the first
interval between questions to a queue).
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING

import anyio
import attrs

from plugmux.hooks import hookimpl
from plugmux.model import Auth, Model

if TYPE_CHECKING:
    from plugmux.credentials import Credential
    from plugmux.errors import ProviderError
    from plugmux.events import Event
    from plugmux.huggingface.endpoints import Endpoints
    from plugmux.requests import Request
    from plugmux.session import Session

settings = ("router_url", "hub_url", "token", "bill_to", "poll_seconds")
default_auth = Auth.REQUIRED
credential_remedy = "set HF_TOKEN, or run: plugmux auth login hf-media"

FACTS = ("inferenceProviderMapping", "pipeline_tag", "gated", "trendingScore")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


@hookimpl
async def get_models(session: Session, wanted: str | None) -> Sequence[Model]:
    """The models of all tasks that somebody serves, video first; or those of one name, LoRAs included.

    A short name is looked up as the model that it means. A renamed one (the Hub redirects) keeps the name
    asked for.
    """
    from plugmux.huggingface.endpoints import Endpoints
    from plugmux.huggingface.hub import get_model
    from plugmux_hf_media._listing import id_of, models_of

    endpoints = Endpoints.load(session.settings, session.environ)
    if wanted is None:
        return await _all_models(session, endpoints)
    name = id_of(wanted)
    if not _HUB_ID.fullmatch(name):
        return ()
    found = await get_model(session.http, endpoints, name, expand=FACTS)
    return models_of(attrs.evolve(found, id=name), listed=False) if found else ()


@hookimpl
async def create_stream(request: Request, session: Session) -> AsyncGenerator[Event, None]:
    from contextlib import aclosing

    from plugmux_hf_media._jobs import run

    async with aclosing(run(request, session)) as events:
        async for event in events:
            yield event


@hookimpl
async def authenticate(session: Session, challenge: ProviderError | None) -> Credential | None:
    from plugmux.huggingface.tokens import credential_of

    return credential_of(session, challenge)


@hookimpl
def format_prompt() -> None:
    """None: no media model takes a chat template."""


async def _all_models(session: Session, endpoints: Endpoints) -> list[Model]:
    """One request a task, side by side. Raises the first failure only if all tasks failed."""
    from plugmux.errors import ProviderError
    from plugmux.huggingface.hub import HubModel, list_models
    from plugmux_hf_media._listing import models_of, video_first
    from plugmux_hf_media._table import TASKS

    found: dict[str, list[HubModel]] = {}
    failures: list[ProviderError] = []

    async def ask(task: str) -> None:
        try:
            found[task] = await list_models(session.http, endpoints, task=task, expand=FACTS)
        except ProviderError as error:
            failures.append(error)

    async with anyio.create_task_group() as group:
        for task in TASKS:
            group.start_soon(ask, task.value)
    if not found and failures:
        raise failures[0]
    return video_first(entry for task in TASKS for model in found.get(task, ()) for entry in models_of(model))


def __getattr__(name: str) -> object:
    """`static_models`, made when it is asked for."""
    if name == "static_models":
        from plugmux_hf_media._listing import static_models

        return static_models()
    raise AttributeError(name)
