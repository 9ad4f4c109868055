"""The table: one entry for each provider and task.

Routes and bodies are those that both official clients send, seen in recorded traffic where there is any;
where the two differ, the entry takes the queue. To add a provider, add its entries here and their cases to
the tests; nothing else knows any provider by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plugmux.huggingface.images import IMAGE_OPTIONS, hf_inference_request, together_request
from plugmux.model import Task
from plugmux_hf_media._routes import Form, Queue, Route, Slot, Take, Wanted
from plugmux_hf_media._words import (
    image_size,
    same,
    seconds_in_words,
    size_with_star,
    size_with_x,
    target_size,
    whole_seconds,
    width_and_height,
)

__all__ = ["PROVIDERS", "TASKS", "route_of", "routes_of"]

PROMPT, PROMPT_IF_ANY, MODEL = Slot.PROMPT, Slot.PROMPT_IF_ANY, Slot.MODEL
VERSION, MEDIA, BASE64 = Slot.VERSION, Slot.MEDIA, Slot.BASE64


_DIFFUSION = ("negative_prompt", "num_inference_steps", "guidance_scale", "seed")
_STEPS = same("negative_prompt", "guidance_scale", "seed", num_inference_steps="steps")


# hf-inference

_HF_INFERENCE = (
    Route(
        provider="hf-inference",
        task=Task.TEXT_TO_IMAGE,
        path="/models/{model}",
        takes=same(*IMAGE_OPTIONS),
        shared=hf_inference_request,
        results=("data", "output"),
    ),
    Route(
        provider="hf-inference",
        task=Task.IMAGE_TO_IMAGE,
        path="/models/{model}",
        body={"inputs": BASE64, "parameters": {"prompt": PROMPT_IF_ANY}},
        under="parameters",
        takes=same(*_DIFFUSION),
        size=target_size,
        form=Form.BINARY,
        headers={"Accept": "image/png"},
    ),
    Route(
        provider="hf-inference",
        task=Task.TEXT_TO_SPEECH,
        path="/models/{model}",
        body={"inputs": PROMPT},
        under="parameters",
    ),
    Route(
        provider="hf-inference",
        task=Task.AUTOMATIC_SPEECH_RECOGNITION,
        path="/models/{model}",
        body={"inputs": BASE64, "parameters": {}},
        under="parameters",
        form=Form.BINARY,
        results=("text",),
    ),
)

# fal-ai: the app's id in `response_url` may be shorter than the model's, so its path is followed

_FAL_QUEUE = Queue(
    job="response_url",
    poll="{job}/status?_subdomain=queue",
    result="{job}?_subdomain=queue",
    cancel=("PUT", "{job}/cancel?_subdomain=queue"),
)
_FAL_VIDEO = same(
    *_DIFFUSION, "aspect_ratio", "resolution", duration=seconds_in_words, fps="frames_per_second"
)


def _fal_lora(wanted: Wanted) -> dict[str, Any]:
    path = f"{wanted.hub}/{wanted.model}/resolve/main/{wanted.weights}"
    fields: dict[str, Any] = {"loras": [{"path": path, "scale": 1}]}
    if wanted.remote_id == "fal-ai/lora":  # wants the base model named (recorded: 422 without it)
        fields["model_name"] = "stabilityai/stable-diffusion-xl-base-1.0"
    return fields


_FAL_AI = (
    Route(
        provider="fal-ai",
        task=Task.TEXT_TO_IMAGE,
        path="/{model}?_subdomain=queue",
        body={"prompt": PROMPT},
        takes=same(*_DIFFUSION),
        size=image_size,
        standard={"image_size": "square_hd"},  # its own is 4:3 (recorded), everybody else's 1:1
        queue=_FAL_QUEUE,
        results=("images", "image"),
        lora=_fal_lora,
    ),
    Route(
        provider="fal-ai",
        task=Task.IMAGE_TO_IMAGE,
        path="/{model}?_subdomain=queue",
        body={"image_url": MEDIA, "image_urls": [MEDIA], "prompt": PROMPT_IF_ANY},
        takes=same(*_DIFFUSION),
        size=image_size,
        queue=_FAL_QUEUE,
        results=("images", "image"),
        lora=_fal_lora,
    ),
    Route(
        provider="fal-ai",
        task=Task.TEXT_TO_VIDEO,
        path="/{model}?_subdomain=queue",
        body={"prompt": PROMPT},
        takes=_FAL_VIDEO,
        queue=_FAL_QUEUE,
        results=("video",),
        lora=_fal_lora,
    ),
    Route(
        provider="fal-ai",
        task=Task.IMAGE_TO_VIDEO,
        path="/{model}?_subdomain=queue",
        body={"image_url": MEDIA, "prompt": PROMPT_IF_ANY},
        takes=_FAL_VIDEO,
        queue=_FAL_QUEUE,
        results=("video",),
        lora=_fal_lora,
    ),
    Route(
        provider="fal-ai",
        task=Task.TEXT_TO_SPEECH,
        path="/{model}",
        body={"text": PROMPT},
        takes=same("voice", "speed"),
        results=("audio", "audio_file"),
    ),
    Route(
        provider="fal-ai",
        task=Task.AUTOMATIC_SPEECH_RECOGNITION,
        path="/{model}",
        body={"audio_url": MEDIA},
        takes=same("language"),
        # It knows three labels (by the JavaScript client's source); FLAC went through as mpeg (recorded).
        relabel={
            "audio/wav": "audio/x-wav",
            "audio/x-wav": "audio/x-wav",
            "audio/webm": "video/webm",
            "video/webm": "video/webm",
            "": "audio/mpeg",
        },
        results=("text", "output"),
    ),
)

# replicate: `Prefer: wait` holds the answer back for 60 s at most; what is not done by then is polled

_REPLICATE_QUEUE = Queue(
    job="id", poll="/v1/predictions/{job}", cancel=("POST", "/v1/predictions/{job}/cancel")
)


def _replicate_lora(wanted: Wanted) -> dict[str, Any]:
    return {"input": {"lora_weights": f"{wanted.hub}/{wanted.model}"}}


def _replicate(task: Task, inputs: dict[str, Any], takes: dict[str, Take], **more: Any) -> Route:
    return Route(
        provider="replicate",
        task=task,
        path="/v1/models/{model}/predictions",
        versioned="/v1/predictions",
        body={"input": inputs, "version": VERSION},
        under="input",
        takes=takes,
        headers={"Prefer": "wait"},
        queue=_REPLICATE_QUEUE,
        results=("output",),
        **more,
    )


_REPLICATE = (
    _replicate(
        Task.TEXT_TO_IMAGE,
        {"prompt": PROMPT},
        same(*_DIFFUSION, "aspect_ratio"),
        size=width_and_height,
        lora=_replicate_lora,
    ),
    _replicate(
        Task.IMAGE_TO_IMAGE,  # its models disagree on the key of the picture
        {"image": MEDIA, "images": [MEDIA], "input_image": MEDIA, "input_images": [MEDIA]}
        | {"prompt": PROMPT_IF_ANY},
        same(*_DIFFUSION, "aspect_ratio"),
        size=width_and_height,
    ),
    _replicate(
        Task.TEXT_TO_VIDEO,
        {"prompt": PROMPT},
        same(*_DIFFUSION, "aspect_ratio", "resolution", duration=whole_seconds, fps="frames_per_second"),
        size=width_and_height,
    ),
    _replicate(Task.TEXT_TO_SPEECH, {"text": PROMPT}, same("voice", "speed")),
    _replicate(Task.AUTOMATIC_SPEECH_RECOGNITION, {"audio": MEDIA}, same("language")),
)

# together

_TOGETHER_QUEUE = Queue(job="id", poll="/v2/videos/{job}", seconds=2.0)
_TOGETHER_VIDEO = _STEPS | same("fps", duration="seconds")
_TOGETHER_EDIT: dict[str, Any] = {"prompt": PROMPT, "model": MODEL, "response_format": "base64"}

_TOGETHER = (
    Route(
        provider="together",
        task=Task.TEXT_TO_IMAGE,
        path="/v1/images/generations",
        takes=same(*IMAGE_OPTIONS),
        shared=together_request,
        results=("data",),
    ),
    Route(
        provider="together",
        task=Task.IMAGE_TO_IMAGE,
        path="/v1/images/generations",
        body=_TOGETHER_EDIT | {"reference_images": [MEDIA]},
        takes=_STEPS,
        size=width_and_height,
        results=("data",),
    ),
    Route(
        provider="together",
        task=Task.TEXT_TO_VIDEO,
        path="/v2/videos",
        body={"prompt": PROMPT, "model": MODEL},
        takes=_TOGETHER_VIDEO,
        size=width_and_height,
        queue=_TOGETHER_QUEUE,
        results=("outputs",),
    ),
    Route(
        provider="together",
        task=Task.IMAGE_TO_VIDEO,
        path="/v2/videos",
        body={"model": MODEL, "frame_images": [{"input_image": MEDIA, "frame": "first"}]}
        | {"prompt": PROMPT_IF_ANY},
        takes=_TOGETHER_VIDEO,
        size=width_and_height,
        queue=_TOGETHER_QUEUE,
        results=("outputs",),
    ),
    Route(
        provider="together",
        task=Task.TEXT_TO_SPEECH,
        path="/v1/audio/speech",
        body={"input": PROMPT, "model": MODEL},
        takes=same("voice"),
    ),
    Route(
        provider="together",
        task=Task.AUTOMATIC_SPEECH_RECOGNITION,
        path="/v1/audio/transcriptions",
        body={"model": MODEL},
        takes=same("language"),
        form=Form.MULTIPART,
        results=("text",),
    ),
)

_TOGETHER_KONTEXT = Route(
    provider="together",
    task=Task.IMAGE_TO_IMAGE,
    path="/v1/images/generations",
    body=_TOGETHER_EDIT | {"image_url": MEDIA},
    takes=_STEPS,
    size=width_and_height,
    results=("data",),
)

# novita, nscale, wavespeed, zai-org, deepinfra

_NOVITA = (
    Route(
        provider="novita",
        task=Task.TEXT_TO_VIDEO,
        path="/v3/async/{model}",
        body={"prompt": PROMPT},
        takes=_STEPS,
        size=width_and_height,
        queue=Queue(job="task_id", poll="/v3/async/task-result?task_id={job}", status="task.status"),
        results=("video", "videos"),
    ),
)
_NSCALE = (
    Route(
        provider="nscale",
        task=Task.TEXT_TO_IMAGE,
        path="/v1/images/generations",
        body={"response_format": "b64_json", "prompt": PROMPT, "model": MODEL},
        takes=same("negative_prompt", "guidance_scale", "seed"),
        size=size_with_x,
        results=("data",),
    ),
)


def _wavespeed_lora(wanted: Wanted) -> dict[str, Any]:
    return {"loras": [{"path": wanted.model, "scale": 1}]}


def _wavespeed(task: Task, body: dict[str, Any], **more: Any) -> Route:
    return Route(
        provider="wavespeed",
        task=task,
        path="/api/v3/{model}",
        body=body,
        queue=Queue(job="data.urls.get", poll="{job}", status="data.status"),
        results=("data.outputs",),
        lora=_wavespeed_lora,
        **more,
    )


_WAVESPEED_EDIT: dict[str, Any] = {"image": MEDIA, "prompt": PROMPT_IF_ANY}
_WAVESPEED = (
    _wavespeed(Task.TEXT_TO_IMAGE, {"prompt": PROMPT}, takes=same(*_DIFFUSION), size=size_with_star),
    _wavespeed(Task.IMAGE_TO_IMAGE, _WAVESPEED_EDIT, takes=same(*_DIFFUSION), size=size_with_star),
    _wavespeed(
        Task.TEXT_TO_VIDEO,
        {"prompt": PROMPT},
        takes=same(*_DIFFUSION, duration=whole_seconds),
        size=size_with_star,
    ),
    _wavespeed(
        Task.IMAGE_TO_VIDEO,
        _WAVESPEED_EDIT,
        takes=same(*_DIFFUSION, "resolution", duration=whole_seconds),
    ),
)
_ZAI = (
    Route(
        provider="zai-org",
        task=Task.TEXT_TO_IMAGE,
        path="/api/paas/v4/async/images/generations",
        body={"model": MODEL, "prompt": PROMPT},
        size=size_with_x,
        headers={"x-source-channel": "hugging_face", "Accept-Language": "en-US,en"},
        queue=Queue(job="id", poll="/api/paas/v4/async-result/{job}", status="task_status", seconds=5.0),
        results=("image_result",),
    ),
)
_DEEPINFRA = (
    Route(
        provider="deepinfra",
        task=Task.TEXT_TO_SPEECH,
        path="/v1/openai/audio/speech",
        body={"input": PROMPT, "model": MODEL},
        takes=same("voice", "speed"),
    ),
    Route(
        provider="deepinfra",
        task=Task.AUTOMATIC_SPEECH_RECOGNITION,
        path="/v1/openai/audio/transcriptions",
        body={"model": MODEL},
        takes=same("language"),
        form=Form.MULTIPART,
        results=("text",),
    ),
)

_ROUTES: Mapping[tuple[str | None, str], Route] = {
    (route.provider, route.task): route
    for group in (
        *(_HF_INFERENCE, _FAL_AI, _REPLICATE, _TOGETHER, _NOVITA, _NSCALE),
        *(_WAVESPEED, _ZAI, _DEEPINFRA),
    )
    for route in group
}
PROVIDERS = tuple(dict.fromkeys(route.provider for route in _ROUTES.values()))
TASKS = (
    Task.TEXT_TO_VIDEO,
    Task.IMAGE_TO_VIDEO,
    Task.TEXT_TO_IMAGE,
    Task.IMAGE_TO_IMAGE,
    Task.TEXT_TO_SPEECH,
    Task.AUTOMATIC_SPEECH_RECOGNITION,
)
"""All that the table does, video first."""


def route_of(provider: str | None, task: Task | str, remote_id: str = "") -> Route | None:
    """The entry for a provider and task, None where there is none.

    Together's FLUX.1 Kontext takes its picture as `image_url`, all its others as `reference_images`.
    """
    route = _ROUTES.get((provider, task))
    name = remote_id.lower()
    if provider == "together" and task == Task.IMAGE_TO_IMAGE and "kontext" in name and "flux.1" in name:
        return _TOGETHER_KONTEXT
    return route


def routes_of(task: Task) -> tuple[Route, ...]:
    """Every provider's entry for a task."""
    return tuple(route for route in _ROUTES.values() if route.task is task)
