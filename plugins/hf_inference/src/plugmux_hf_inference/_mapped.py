"""From the Hub's mapping of a model to the roads that lead to it. Pure.

`conversational` goes by the router's chat; `text-generation` has one flat prompt; `text-to-image` is drawn by
the two upstreams whose wire this plugin speaks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from plugmux.huggingface.hub import HubModel, Served
from plugmux.huggingface.images import IMAGE_OPTIONS
from plugmux.huggingface.upstreams import ACCOUNT, ROUTED, suffixes
from plugmux.model import Auth, Capability, Model, Task
from plugmux_hf_inference._static import CHAT_OPTIONS, COMPLETIONS, RAW, TEXT_OPTIONS, aliases_of

__all__ = ["DRAWING", "models_of", "why_not"]

DRAWING = frozenset({"hf-inference", "together"})


def models_of(found: HubModel, name: str | None = None) -> list[Model]:
    """The model's roads under `name` (its own id if not given): a renamed one keeps the name asked for."""
    live = [entry for entry in found.live if entry.upstream in ROUTED]
    return [
        *_chat(found, name or found.id, [entry for entry in live if entry.task == "conversational"]),
        *_text(found, name or found.id, [entry for entry in live if entry.task == "text-generation"]),
        *_pictures(found, name or found.id, [entry for entry in live if entry.task == "text-to-image"]),
    ]


def why_not(found: HubModel) -> str:
    """Why no road leads to a model that the Hub knows."""
    kind = f" ({found.pipeline_tag})" if found.pipeline_tag else ""
    if not found.served:
        return f"no inference provider serves {found.id}{kind}"
    said = ", ".join(f"{entry.upstream}: {entry.task}, {entry.status}" for entry in found.served[:6])
    return f"{found.id}{kind} is not served for chat, text or pictures here; the Hub says {said}"


def _chat(found: HubModel, name: str, served: list[Served]) -> Iterator[Model]:
    if not served:
        return
    sees = found.pipeline_tag == "image-text-to-text"
    common: dict[str, Any] = {
        "id": name,
        "tasks": (Task.CONVERSATIONAL, Task.IMAGE_TEXT_TO_TEXT) if sees else (Task.CONVERSATIONAL,),
        "inputs": ("image",) if sees else (),
        "options": CHAT_OPTIONS,
        "auth": Auth.REQUIRED,
        "account": ACCOUNT,
        "gated": found.gated,
    }
    others = suffixes(entry.upstream for entry in served)
    yield Model(**common, remote_id=found.id, aliases=aliases_of(found.id), selectors=others)
    for entry in served:
        yield Model(**common, remote_id=f"{found.id}:{entry.upstream}", upstream=entry.upstream, reserve=True)


def _text(found: HubModel, name: str, served: list[Served]) -> Iterator[Model]:
    for entry in served:
        if entry.upstream != RAW and entry.upstream not in COMPLETIONS:
            continue
        yield Model(
            id=name,
            remote_id=entry.remote_id,
            upstream=entry.upstream,
            tasks=(Task.TEXT_GENERATION,),
            options=TEXT_OPTIONS,
            capabilities=_FLAT,
            auth=Auth.REQUIRED,
            account=ACCOUNT,
            gated=found.gated,
            aliases=aliases_of(found.id),
            extra={"road": "text" if entry.upstream == RAW else "completions", "hub_id": found.id},
        )


_FLAT = {Capability.PREFILL: True, Capability.TOOLS: False, Capability.VISION: False}
"""What a flat prompt can do: be gone on with, and nothing that needs messages."""


def _pictures(found: HubModel, name: str, served: list[Served]) -> Iterator[Model]:
    for entry in served:
        if entry.upstream in DRAWING and entry.adapter_weights is None:
            yield Model(
                id=name,
                remote_id=entry.remote_id,
                upstream=entry.upstream,
                tasks=(Task.TEXT_TO_IMAGE,),
                options=IMAGE_OPTIONS,
                auth=Auth.REQUIRED,
                account=ACCOUNT,
                gated=found.gated,
                aliases=aliases_of(found.id),
                extra={"road": "image"},
            )
