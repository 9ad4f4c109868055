"""From the Hub's mapping to models: one `Model` for each upstream that serves one, and what is listed while
the Hub cannot be asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs

from plugmux.huggingface.hub import HubModel, Served
from plugmux.huggingface.tokens import ACCOUNT
from plugmux.model import Auth, Model, Task
from plugmux_hf_media._routes import Route
from plugmux_hf_media._table import TASKS, route_of
from plugmux_hf_media._wire import options_of

__all__ = ["ALIASES", "id_of", "known_models", "models_of", "static_models", "video_first"]

ALIASES = {
    "black-forest-labs/FLUX.1-dev": ("flux", "flux-dev"),
    "black-forest-labs/FLUX.1-schnell": ("flux-schnell",),
    "black-forest-labs/FLUX.1-Kontext-dev": ("flux-kontext", "kontext"),
    "black-forest-labs/FLUX.2-dev": ("flux-2",),
    "stabilityai/stable-diffusion-3.5-large": ("sd-3.5-large",),
    "stabilityai/stable-diffusion-xl-base-1.0": ("sdxl-1.0", "sdxl"),
    "Wan-AI/Wan2.2-TI2V-5B": ("wan",),
    "hexgrad/Kokoro-82M": ("kokoro",),
    "openai/whisper-large-v3": ("whisper",),
}
"""Short names that the one rule for short names does not give by itself."""


def id_of(name: str) -> str:
    """The model's id that a short name means; any other name as it is."""
    return next((model for model, names in ALIASES.items() if name in names), name)


def models_of(model: HubModel, *, listed: bool = True) -> list[Model]:
    """An entry for each upstream that serves the model live and in a way that the table knows.

    What an upstream does under one id is one entry with several tasks.
    """
    entries: dict[tuple[str, str], Model] = {}
    for served in model.live:
        route = route_of(served.upstream, served.task, served.remote_id)
        if route is None:
            continue
        place = served.upstream, served.remote_id
        entry = _entry(model, served, route, listed)
        entries[place] = _both(entries[place], entry) if place in entries else entry
    return list(entries.values())


def _both(one: Model, other: Model) -> Model:
    return attrs.evolve(
        one,
        tasks=(*one.tasks, *other.tasks),
        inputs=one.inputs | other.inputs,
        options=(one.options or frozenset()) | (other.options or frozenset()),
    )


def video_first(models: Iterable[Model]) -> list[Model]:
    """In the order of the table's tasks, the Hub's own order within each; no entry twice."""
    unique = {(model.id, model.key): model for model in models}
    return sorted(unique.values(), key=lambda model: TASKS.index(model.tasks[0]))


def _entry(model: HubModel, served: Served, route: Route, listed: bool) -> Model:
    extra: dict[str, str] = {"lora": served.adapter_weights} if served.adapter_weights else {}
    return Model(
        id=model.id,
        remote_id=served.remote_id,
        upstream=served.upstream,
        tasks=(route.task,),
        inputs={route.reads} if route.reads else (),
        options=options_of(route),
        auth=Auth.REQUIRED,
        account=ACCOUNT,
        gated=model.gated,
        aliases=ALIASES.get(model.id, ()),
        listed=listed,
        extra=extra,
    )


_KNOWN = {
    ("Wan-AI/Wan2.2-TI2V-5B", Task.TEXT_TO_VIDEO): {
        "fal-ai": "fal-ai/wan/v2.2-5b/text-to-video",
        "replicate": "wan-video/wan-2.2-5b-fast",
    },
    ("black-forest-labs/FLUX.1-dev", Task.TEXT_TO_IMAGE): {
        "fal-ai": "fal-ai/flux/dev",
        "replicate": "black-forest-labs/flux-dev",
        "together": "black-forest-labs/FLUX.1-dev",
        "wavespeed": "wavespeed-ai/flux-dev",
    },
    ("black-forest-labs/FLUX.1-schnell", Task.TEXT_TO_IMAGE): {
        "fal-ai": "fal-ai/flux/schnell",
        "replicate": "black-forest-labs/flux-schnell",
        "hf-inference": "black-forest-labs/FLUX.1-schnell",
    },
    ("black-forest-labs/FLUX.2-klein-9B", Task.IMAGE_TO_IMAGE): {
        "fal-ai": "fal-ai/flux-2/klein/9b/edit",
    },
    ("hexgrad/Kokoro-82M", Task.TEXT_TO_SPEECH): {
        "fal-ai": "fal-ai/kokoro/american-english",
        "deepinfra": "hexgrad/Kokoro-82M",
    },
    ("openai/whisper-large-v3", Task.AUTOMATIC_SPEECH_RECOGNITION): {
        "fal-ai": "fal-ai/whisper",
        "hf-inference": "openai/whisper-large-v3",
    },
}
"""Who served what, as the Hub's documents and recorded mappings of the last year say."""


def static_models() -> tuple[Model, ...]:
    """What is listed until the Hub has been asked."""
    return tuple(video_first(entry for model in known_models() for entry in models_of(model)))


def known_models() -> tuple[HubModel, ...]:
    """The models that are known without the Hub, in its own terms."""
    return tuple(_known(model, task, upstreams) for (model, task), upstreams in _KNOWN.items())


def _known(model: str, task: Task, upstreams: Mapping[str, str]) -> HubModel:
    served = (Served(upstream=name, remote_id=its_id, task=task.value) for name, its_id in upstreams.items())
    return HubModel(id=model, pipeline_tag=task.value, served=tuple(served))
