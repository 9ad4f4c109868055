"""`plugmux space …` (extra `plugmux-hf-space[cli]`)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import anyio
import click
from attrs import evolve

from plugmux.cache import Cache
from plugmux.errors import InvalidInputError, ProviderError
from plugmux.http import Http
from plugmux.model import Model
from plugmux.requests import Limits
from plugmux.session import Session
from plugmux.settings import Settings
from plugmux.stopwatch import Stopwatch
from plugmux.transport import Transport
from plugmux_hf_space._listing import Lister, models_of
from plugmux_hf_space._places import Place, place_of, space_of
from plugmux_hf_space._settings import Override
from plugmux_hf_space._shelf import fetch_app
from plugmux_hf_space._tasks import judge
from plugmux_hf_space._trust import credential_of, locked_out
from plugmux_hf_space.inspection import as_plain, as_text

if TYPE_CHECKING:
    from plugmux.credentials import Credential
    from plugmux_hf_space._app import App

__all__ = ["space"]

PROVIDER = "hf-space"


@click.group()
def space() -> None:
    """Look at Spaces and other Gradio apps."""


@space.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")
@click.option("--endpoint", help="Only this endpoint.")
@click.option("--provider", default=PROVIDER, show_default=True, help="Whose settings to use.")
def inspect(name: str, as_json: bool, endpoint: str | None, provider: str) -> None:
    """Show what an app can do: each endpoint's task and why, and what a call would send.

    NAME is owner/name, an hf.space address or the address of any Gradio app. Asking wakes a sleeping
    Space: ask again when it is up.
    """
    place = place_of(name) or (Place(space=found) if (found := space_of(name)) else None)
    if place is None:
        raise InvalidInputError(f"{name!r} is neither owner/name nor an http(s) address", field="NAME")
    place, app, override = anyio.run(_look, place, provider)
    verdicts = judge(app, override)
    wanted = endpoint or place.endpoint
    shown = [v for v in verdicts if wanted in (None, v.endpoint.name)]
    if as_json:
        click.echo(json.dumps(as_plain(place, app, shown, override), indent=2, ensure_ascii=False))
    else:
        click.echo(as_text(place, app, shown, override), nl=False)


async def _look(place: Place, provider: str) -> tuple[Place, App, Override]:
    settings = Settings.load()
    transport = Transport(kind=settings.transport, user_agent="plugmux")
    try:
        asking = _session(provider, settings, transport)
        asking = _session(provider, settings, transport, credential=credential_of(asking))
        lister = Lister.of(asking)
        place, facts = await lister.locate(place)
        model = models_of(place, None, facts)[0]
        told = _session(provider, settings, transport, model=model)
        told = _session(provider, settings, transport, model=model, credential=credential_of(told))
        try:
            app = await fetch_app(told, place.url or "")
        except ProviderError as error:
            raise locked_out(told, error) or error from None
        return evolve(place, url=app.url), app, lister.settings.override_of(place)
    finally:
        await transport.aclose()


def _session(
    provider: str,
    settings: Settings,
    transport: Transport,
    *,
    model: Model | None = None,
    credential: Credential | None = None,
) -> Session:
    limits = Limits(first_sign=60.0, idle=30.0, total=120.0)
    watch = Stopwatch(limits)
    return Session(
        provider=provider,
        settings=settings.for_provider(provider),
        http=Http(transport, watch, credential),
        cache=Cache(None),
        credential=credential,
        model=model,
        limits=limits,
        watch=watch,
        transport=transport,
        environ=settings.environ,
        home=settings.home,
    )
