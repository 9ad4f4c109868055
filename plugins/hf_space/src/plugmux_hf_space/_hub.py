"""Spaces at the Hub: where one is, how it is, what it says of itself (documented API)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from attrs import frozen

from plugmux.errors import MalformedResponseError, ModelNotFoundError, ProviderError, ServerError
from plugmux.huggingface.endpoints import Endpoints
from plugmux.huggingface.failures import error_of

if TYPE_CHECKING:
    from plugmux.session import Session

__all__ = ["SpaceFacts", "facts_of", "get_space", "obstacle", "space_at"]

ASLEEP = frozenset({"SLEEPING", "STOPPED"})
WAITING = frozenset({"BUILDING", "APP_STARTING"})
BROKEN = frozenset({"NO_APP_FILE", "CONFIG_ERROR", "BUILD_ERROR", "RUNTIME_ERROR"})


@frozen(kw_only=True)
class SpaceFacts:
    """What the Hub says of a Space. `stage` is an open word: an unknown one is taken as running."""

    id: str
    url: str | None = None
    stage: str = ""
    sdk: str = ""
    hardware: str = ""
    error: str = ""
    private: bool = False
    disabled: bool = False
    models: tuple[str, ...] = ()

    @property
    def is_asleep(self) -> bool:
        return self.stage in ASLEEP

    @property
    def is_waiting(self) -> bool:
        """Not reachable now, but it will be: woken by a visit, or being built."""
        return self.stage in ASLEEP or self.stage in WAITING

    @property
    def is_on_zerogpu(self) -> bool:
        return self.hardware.startswith("zero")


def facts_of(body: object, hub: str) -> SpaceFacts:
    """The Space that an answer of `/api/spaces/…` describes. Raises MalformedResponseError."""
    if not isinstance(body, Mapping) or not isinstance(body.get("id"), str):
        raise MalformedResponseError("the Hub's answer describes no Space")
    runtime = _table(body.get("runtime"))
    hardware = runtime.get("hardware")
    current = hardware.get("current") if isinstance(hardware, Mapping) else hardware
    listed = _table(body.get("cardData")).get("models")
    return SpaceFacts(
        id=body["id"],
        url=_address(body, hub),
        stage=str(runtime.get("stage") or "").upper(),
        sdk=str(body.get("sdk") or ""),
        hardware=str(current or ""),
        error=" ".join(str(runtime.get("errorMessage") or "").split())[:200],
        private=bool(body.get("private")),
        disabled=bool(body.get("disabled")),
        models=tuple(m for m in listed if isinstance(m, str)) if isinstance(listed, list) else (),
    )


def obstacle(facts: SpaceFacts) -> str | None:
    """Why a Space cannot serve at all, or None."""
    if facts.disabled:
        return f"{facts.id} is disabled by the Hub"
    if facts.sdk and facts.sdk not in ("gradio", "docker"):
        return f"{facts.id} is a {facts.sdk} app, not Gradio"
    if facts.stage == "PAUSED":
        return f"{facts.id} is paused: only its owner can restart it"
    if facts.stage in ("DELETING", "DELETED"):
        return f"{facts.id} is being deleted"
    if facts.stage in BROKEN:
        return f"{facts.id} is broken ({facts.stage}){': ' + facts.error if facts.error else ''}"
    return None


async def get_space(session: Session, endpoints: Endpoints, space: str) -> SpaceFacts:
    """What the Hub says of a Space. Raises ModelNotFoundError if it has none of that name."""
    endpoints.require_online(endpoints.hub)
    url = f"{endpoints.hub}/api/spaces/{quote(space, safe='/')}"
    try:
        answer = await session.http.request("GET", url, error=error_of)
    except ProviderError as error:
        raise _translated(error, space) from error
    return facts_of(answer.json(), endpoints.hub)


async def space_at(session: Session, endpoints: Endpoints, url: str) -> str | None:
    """`owner/name` of the Space at an `hf.space` address, or None if the Hub cannot say."""
    subdomain = (urlsplit(url).hostname or "").partition(".")[0]
    endpoints.require_online(endpoints.hub)
    try:
        answer = await session.http.request(
            "GET", f"{endpoints.hub}/api/spaces/by-subdomain/{quote(subdomain, safe='')}", error=error_of
        )
        body = answer.json()
    except ProviderError:
        return None
    found = body.get("id") if isinstance(body, Mapping) else None
    return found if isinstance(found, str) else None


def _translated(error: ProviderError, space: str) -> ProviderError:
    if error.status in (404, 410):
        return ModelNotFoundError(f"the Hub has no Space {space}", status=error.status)
    if error.status == 401:  # what the anonymous hear of a private Space, and of one that is not there
        return ModelNotFoundError(
            f"the Hub has no public Space {space}",
            status=401,
            remedy="a private one wants a token, HF_TOKEN, and its name in the setting trusted",
        )
    if error.status is not None and error.status >= 500:
        return ServerError(f"the Hub did not answer for {space}: {error.message}", status=error.status)
    return error


def _address(body: Mapping[str, Any], hub: str) -> str | None:
    """The Space's address, as the Hub names it. One without TLS counts only beside a Hub without TLS."""
    host = body.get("host")
    if isinstance(host, Mapping):
        host = host.get("host")
    if not isinstance(host, str) or not host:
        subdomain = body.get("subdomain")
        host = f"https://{subdomain}.hf.space" if isinstance(subdomain, str) and subdomain else ""
    parts = urlsplit(host)
    secure = parts.scheme == "https" or (parts.scheme == "http" and urlsplit(hub).scheme == "http")
    return host.rstrip("/") if secure and parts.hostname else None


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
