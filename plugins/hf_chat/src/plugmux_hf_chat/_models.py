"""Discovery: today's list of models, else the older one, and whether the server wants a login."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from plugmux.errors import MalformedResponseError, ProviderError
from plugmux.model import Auth, Model
from plugmux.session import Session
from plugmux_hf_chat._conversation import unwrap
from plugmux_hf_chat._http import Site
from plugmux_hf_chat._site import is_hosted, open_site
from plugmux_hf_chat._wire import models_of

__all__ = ["listed"]


async def listed(session: Session, base_url: str, hub_ids: Mapping[str, str]) -> list[Model]:
    """The models that the server offers now. Raises a ProviderError."""
    site = await open_site(session, base_url)
    try:
        body = await site.get("/api/v2/models")
    except MalformedResponseError:
        body = await site.get("/api/models")
    account = "huggingface" if is_hosted(base_url) else None
    found = models_of(body, auth=await _auth(site), account=account)
    return [attrs.evolve(model, id=hub_ids.get(model.id, model.id)) for model in found]


async def _auth(site: Site) -> Auth:
    if is_hosted(site.base_url):
        return Auth.REQUIRED
    try:
        flags = unwrap(await site.get("/api/v2/feature-flags"))
    except ProviderError:
        return Auth.OPTIONAL
    wanted = flags.get("loginEnabled") if isinstance(flags, Mapping) else None
    return {True: Auth.REQUIRED, False: Auth.NONE}.get(wanted, Auth.OPTIONAL)  # type: ignore[arg-type]
