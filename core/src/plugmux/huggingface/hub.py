"""Facts on models from the Hub's API.

`inferenceProviderMapping` comes as an object for one model and as a list from a listing (recorded; by the
official client's source), and as null. With `expand` the answer holds only the named fields.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urljoin

from attrs import field, frozen

from plugmux.errors import ProviderError
from plugmux.huggingface.endpoints import Endpoints
from plugmux.huggingface.failures import error_of
from plugmux.value import Value

if TYPE_CHECKING:
    from plugmux.http import Http
    from plugmux.session import Session

__all__ = [
    "HubModel",
    "Served",
    "get_model",
    "is_hub_id",
    "list_models",
    "mapping_of",
    "model_of",
    "who_am_i",
]

FACTS = ("inferenceProviderMapping", "pipeline_tag", "config", "gated", "trendingScore", "tags")
WHO_SECONDS = 3600.0


@frozen(kw_only=True, eq=False, repr=False)
class Served(Value):
    """One entry of a model's mapping: who serves it, under which id, for which task.

    `status` is `live`, `staging` or `error`. `adapter_weights` is the file of a LoRA (by the official
    clients' source), None for a whole model.
    """

    upstream: str
    remote_id: str
    task: str
    status: str = "live"
    by_author: bool = False
    adapter_weights: str | None = None

    @property
    def is_live(self) -> bool:
        return self.status == "live"

    def to_plain(self) -> dict[str, Any]:
        """The entry in the Hub's own JSON, as in a list."""
        lora = {"adapter": "lora", "adapterWeightsPath": self.adapter_weights}
        return {
            "provider": self.upstream,
            "providerId": self.remote_id,
            "task": self.task,
            "status": self.status,
            "isModelAuthor": self.by_author,
            **(lora if self.adapter_weights else {}),
        }


@frozen(kw_only=True, eq=False, repr=False)
class HubModel(Value):
    """What the Hub says of a model. `tokenizer` is its `tokenizer_config`, chat template included."""

    id: str
    pipeline_tag: str | None = None
    model_type: str | None = None
    gated: bool = False
    trending_score: float | None = None
    tags: tuple[str, ...] = ()
    served: tuple[Served, ...] = ()
    tokenizer: Mapping[str, Any] = field(factory=dict, repr=False)

    @property
    def live(self) -> tuple[Served, ...]:
        """Who serves it now, in the Hub's order: the account's preference when a token was sent."""
        return tuple(entry for entry in self.served if entry.is_live)

    def to_plain(self) -> dict[str, Any]:
        """The facts in the Hub's own JSON, to be kept and read again by `model_of`."""
        config = {"model_type": self.model_type, "tokenizer_config": dict(self.tokenizer)}
        return {
            "id": self.id,
            "pipeline_tag": self.pipeline_tag,
            "gated": self.gated,
            "trendingScore": self.trending_score,
            "tags": list(self.tags),
            "config": config,
            "inferenceProviderMapping": [entry.to_plain() for entry in self.served],
        }


def is_hub_id(name: str) -> bool:
    """Whether a model on the Hub can have this name: one part or two, no path, no URL, no Space."""
    return _ID.fullmatch(name) is not None and not name.startswith("spaces/")


_ID = re.compile(r"\w[\w.-]{0,95}(/\w[\w.-]{0,95})?")


def mapping_of(given: object) -> tuple[Served, ...]:
    """The entries of a mapping of either shape, in its order; what is unusable is left out."""
    if isinstance(given, Mapping):
        pairs = [(name, entry) for name, entry in given.items() if isinstance(entry, Mapping)]
    elif isinstance(given, Sequence) and not isinstance(given, str):
        pairs = [(entry.get("provider"), entry) for entry in given if isinstance(entry, Mapping)]
    else:
        return ()
    found = (_served(name, entry) for name, entry in pairs)
    return tuple(entry for entry in found if entry is not None)


def model_of(body: object) -> HubModel | None:
    """The model that an answer of `/api/models` describes; None for anything else."""
    if not isinstance(body, Mapping) or not isinstance(body.get("id"), str):
        return None
    config = body.get("config")
    config = config if isinstance(config, Mapping) else {}
    score = body.get("trendingScore")
    return HubModel(
        id=body["id"],
        pipeline_tag=_text(body.get("pipeline_tag")),
        model_type=_text(config.get("model_type")),
        gated=bool(body.get("gated")),
        trending_score=float(score) if isinstance(score, int | float) else None,
        tags=tuple(tag for tag in body.get("tags") or () if isinstance(tag, str)),
        served=mapping_of(body.get("inferenceProviderMapping")),
        tokenizer=_tokenizer(config),
    )


async def get_model(
    http: Http, endpoints: Endpoints, model: str, *, expand: Sequence[str] = FACTS
) -> HubModel | None:
    """One model, a renamed one under its new id; None if the Hub has none of that name.

    Raises a ProviderError for all else.
    """
    endpoints.require_online(endpoints.hub)
    url = f"{endpoints.hub}/api/models/{quote(model, safe='/')}?{_expand(expand)}"
    try:
        answer = await http.request("GET", url, error=error_of)
    except ProviderError as error:
        if _means_unknown(error):
            return None
        raise
    return model_of(answer.json())


async def list_models(
    http: Http,
    endpoints: Endpoints,
    *,
    task: str,
    served_by: str = "all",
    expand: Sequence[str] = FACTS,
    pages: int = 1,
    per_page: int = 100,
) -> list[HubModel]:
    """Models of a task that somebody serves, most trending first, `pages` pages at most.

    `served_by` is the filter `inference_provider`: upstream names with commas, or `all` (documented).
    """
    endpoints.require_online(endpoints.hub)
    query = f"inference_provider={quote(served_by)}&pipeline_tag={quote(task)}&limit={per_page}"
    url: str | None = f"{endpoints.hub}/api/models?{query}&{_expand(expand)}"
    found: list[HubModel] = []
    for _ in range(pages):
        if url is None:
            break
        answer = await http.request("GET", url, error=error_of)
        body = answer.json()
        rows = body if isinstance(body, list) else []
        found += [model for row in rows if (model := model_of(row)) is not None]
        url = next_page(answer.headers.get("link", ""), url)
    return found


async def who_am_i(session: Session, endpoints: Endpoints) -> Mapping[str, Any] | None:
    """What `/api/whoami-v2` says of the session's credential; None without one.

    The Hub limits this call heavily, so the answer is kept for an hour. It does not prove that the token
    may call Inference Providers: only a real call shows that.
    """
    if session.credential is None:
        return None
    endpoints.require_online(endpoints.hub)
    key = f"whoami:{endpoints.hub}:{session.credential.fingerprint}"
    known = session.cache.get(key)
    if isinstance(known, dict):
        return known
    answer = await session.http.request("GET", f"{endpoints.hub}/api/whoami-v2", error=error_of)
    body = answer.json()
    if not isinstance(body, dict):
        return None
    session.cache.put(key, body, seconds=WHO_SECONDS)
    return body


def next_page(link: str, url: str) -> str | None:
    """The `rel="next"` target of a `Link` header, or None. A target on another host is not followed."""
    found = re.search(r'<([^>]+)>\s*;\s*rel="?next"?', link)
    if found is None:
        return None
    target = urljoin(url, found[1])
    return target if target.split("/", 3)[:3] == url.split("/", 3)[:3] else None


def _means_unknown(error: ProviderError) -> bool:
    """The Hub says 401 to the anonymous for what is not there, and to a bad token for everything."""
    if error.status == 401:
        return error.code == "RepoNotFound" or "Invalid credentials" not in error.message
    return error.status in (400, 404)


def _served(name: object, entry: Mapping[str, Any]) -> Served | None:
    remote_id, task = entry.get("providerId"), entry.get("task")
    if not (isinstance(name, str) and isinstance(remote_id, str) and isinstance(task, str)):
        return None
    weights = entry.get("adapterWeightsPath") if entry.get("adapter") == "lora" else None
    return Served(
        upstream=name,
        remote_id=remote_id,
        task=task,
        status=str(entry.get("status") or "live"),
        by_author=bool(entry.get("isModelAuthor")),
        adapter_weights=_text(weights),
    )


def _tokenizer(config: Mapping[str, Any]) -> dict[str, Any]:
    tokenizer = config.get("tokenizer_config")
    facts = dict(tokenizer) if isinstance(tokenizer, Mapping) else {}
    if template := _text(config.get("chat_template_jinja")):
        facts["chat_template"] = template
    return facts


def _expand(fields: Sequence[str]) -> str:
    return "&".join(f"expand[]={name}" for name in fields)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
