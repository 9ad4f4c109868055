"""Options that a chat-ui server takes by its settings: which tool servers to select, and the effort."""

from __future__ import annotations

from plugmux.errors import InvalidRequestError, MalformedResponseError, ServerError
from plugmux.events import Notice
from plugmux.model import Capability
from plugmux.requests import Request
from plugmux_hf_chat import _wire
from plugmux_hf_chat._http import Site

__all__ = ["prepared"]


async def prepared(request: Request, site: Site) -> tuple[list[str], list[Notice]]:
    """The tool servers to select, and what there is to say about options."""
    servers: list[str] = []
    notices: list[Notice] = []
    if request.options.web_search:
        servers = await _search_servers(request, site, notices)
    if request.options.reasoning_effort is not None:
        notices += await _with_effort(request, site, request.options.reasoning_effort)
    return servers, notices


async def _search_servers(request: Request, site: Site, notices: list[Notice]) -> list[str]:
    if request.model.can(Capability.WEB_SEARCH) is False:
        notices.append(_ignored("web_search", f"{request.model.remote_id} uses no tools"))
        return []
    try:
        names = _wire.search_servers(await site.get("/api/mcp/servers"))
    except MalformedResponseError:
        return []  # an older server, which reads the flag
    if not names:
        notices.append(_ignored("web_search", "the server offers no search tool"))
    return names


async def _with_effort(request: Request, site: Site, effort: str) -> list[Notice]:
    """Effort is a setting of the user for a model, not a part of a message."""
    model, path = request.model.remote_id, "/api/v2/user/settings"
    if request.model.options is not None and "reasoning_effort" not in request.model.options:
        return [_ignored("reasoning_effort", f"the server sets no effort for {model}")]
    try:
        body = _wire.settings_with_effort(await site.get(path), model, effort)
        if body is None:
            return []
        await site.request("POST", path, json=body)
    except (InvalidRequestError, MalformedResponseError, ServerError) as error:
        return [_ignored("reasoning_effort", f"the server does not take it: {error.message}")]
    said = f"the server keeps effort {effort!r} for {model} as a setting of your account"
    return [Notice(code="setting-changed", option="reasoning_effort", message=said)]


def _ignored(option: str, message: str) -> Notice:
    return Notice(code="option-ignored", option=option, message=message)
