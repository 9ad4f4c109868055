"""From a `/v1/models` body to `Model`s. Pure.

The router's list is documented: each id has the providers that serve it, and nearly every field is optional.
Other servers list `id` and little more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from plugmux.errors import MalformedResponseError
from plugmux.huggingface.upstreams import ACCOUNT, suffixes
from plugmux.model import Auth, Capability, Model, Pricing, Task
from plugmux_hf_inference._static import CHAT_OPTIONS, DEFAULT_MODEL, aliases_of

__all__ = ["own_models", "router_models"]


class Upstream(msgspec.Struct, kw_only=True):
    provider: str
    status: str | None = None
    context_length: float | None = None
    pricing: dict[str, Any] | None = None
    is_free: Any = None
    supports_tools: bool | None = None
    supports_structured_output: bool | None = None
    first_token_latency_ms: float | None = None
    throughput: float | None = None


class Architecture(msgspec.Struct):
    input_modalities: list[str] | None = None


class Entry(msgspec.Struct, kw_only=True):
    id: str
    architecture: Architecture | None = None
    providers: list[Any] | None = None


class _List(msgspec.Struct):
    data: list[Any]


def router_models(body: bytes) -> list[Model]:
    """The models of a list, or of one entry. Entries that cannot be read are left out.

    Each id gives one model for the automatic road and, held in reserve, one for each live upstream.
    Raises MalformedResponseError for what is neither.
    """
    return [model for item in _items(body) for model in _models_of(item)]


def own_models(body: bytes, *, only_default: bool = True) -> list[Model]:
    """The models of an OpenAI-compatible server. Raises MalformedResponseError."""
    items = [item for item in _items(body) if isinstance(item, dict) and isinstance(item.get("id"), str)]
    return [_own_model(item, default=only_default and len(items) == 1) for item in items]


def _items(body: bytes) -> list[Any]:
    try:
        plain = msgspec.json.decode(body)
        if isinstance(plain, dict) and "id" in plain:
            return [plain]
        return msgspec.convert(plain, _List).data
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        shown = body[:200].decode("utf-8", "replace")
        raise MalformedResponseError(f"not a list of models: {shown}") from error


def _models_of(item: object) -> Iterator[Model]:
    try:
        entry = msgspec.convert(item, Entry)
    except msgspec.ValidationError:
        return
    upstreams = list(_upstreams(entry.providers or ()))
    live = [upstream for upstream in upstreams if upstream.status in (None, "live")]
    if upstreams and not live:
        return
    yield _automatic(entry, live)
    for upstream in live:
        yield _pinned(entry, upstream)


def _upstreams(items: Iterable[Any]) -> Iterator[Upstream]:
    for item in items:
        try:
            yield msgspec.convert(item, Upstream)
        except msgspec.ValidationError:
            continue


def _automatic(entry: Entry, live: list[Upstream]) -> Model:
    """The road on which the router chooses. Its window is the smallest that any of them states."""
    lengths = [int(one.context_length) for one in live if one.context_length]
    prices = [_pricing(one) for one in live]
    return Model(
        **_common(entry),
        capabilities=_capabilities(entry, live),
        context_length=min(lengths, default=None),
        pricing=prices[0] if prices and all(price == prices[0] for price in prices) else None,
        aliases=aliases_of(entry.id),
        default=entry.id == DEFAULT_MODEL,
        selectors=suffixes(one.provider for one in live),
    )


def _pinned(entry: Entry, upstream: Upstream) -> Model:
    latency = upstream.first_token_latency_ms
    return Model(
        **_common(entry),
        remote_id=f"{entry.id}:{upstream.provider}",
        upstream=upstream.provider,
        capabilities=_capabilities(entry, [upstream]),
        context_length=int(upstream.context_length) if upstream.context_length else None,
        pricing=_pricing(upstream),
        latency=latency / 1000 if latency is not None else None,
        throughput=upstream.throughput,
        reserve=True,
    )


def _common(entry: Entry) -> dict[str, Any]:
    inputs = {kind for kind in _modalities(entry) or () if kind != "text"}
    tasks = [Task.CONVERSATIONAL] + ([Task.IMAGE_TEXT_TO_TEXT] if "image" in inputs else [])
    return {
        "id": entry.id,
        "tasks": tasks,
        "inputs": inputs,
        "options": CHAT_OPTIONS,
        "auth": Auth.REQUIRED,
        "account": ACCOUNT,
    }


def _modalities(entry: Entry) -> list[str] | None:
    return entry.architecture.input_modalities if entry.architecture else None


def _capabilities(entry: Entry, live: list[Upstream]) -> dict[Capability, bool]:
    """Yes if any of them says yes, no if all say no, else unknown."""
    modalities = _modalities(entry)
    found = {} if modalities is None else {Capability.VISION: "image" in modalities}
    said = {
        Capability.TOOLS: [one.supports_tools for one in live],
        Capability.STRUCTURED_OUTPUT: [one.supports_structured_output for one in live],
    }
    for capability, answers in said.items():
        if True in answers:
            found[capability] = True
        elif answers and all(answer is False for answer in answers):
            found[capability] = False
    return found


def _pricing(upstream: Upstream) -> Pricing | None:
    prices = {name: _number((upstream.pricing or {}).get(name)) for name in ("input", "output")}
    if any(price is not None for price in prices.values()):
        return Pricing(**prices)
    return Pricing(input=0.0, output=0.0) if upstream.is_free is True else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _own_model(item: Mapping[str, Any], *, default: bool) -> Model:
    meta = item.get("meta")
    lengths = (
        item.get("max_model_len"),  # vLLM
        item.get("context_length"),
        item.get("context_window"),  # groq
        meta.get("n_ctx_train") if isinstance(meta, dict) else None,  # llama.cpp
    )
    server = str(item.get("owned_by") or "").lower()
    return Model(
        id=item["id"],
        assumed=True,
        options=CHAT_OPTIONS,
        capabilities={Capability.PREFILL: True} if server in _PREFILLING else {},
        context_length=next((int(n) for n in lengths if isinstance(n, int) and n > 0), None),
        auth=Auth.OPTIONAL,
        default=default,
        extra={"server": server} if server in _PREFILLING else {},
    )


_PREFILLING = frozenset({"vllm", "llamacpp"})
"""Servers that go on with a final assistant message, by the name they give themselves in `owned_by`."""
