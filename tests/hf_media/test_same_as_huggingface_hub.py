"""The same wishes through huggingface_hub and through plugmux, to one local server: what arrives must be
the same, but for the differences listed here with their reasons.

huggingface_hub lives in an environment of its own: PLUGMUX_TEST_HUB_PYTHON is its interpreter.
"""

from __future__ import annotations

import json
import os
import subprocess
from email import message_from_bytes
from pathlib import Path
from typing import Any

import anyio
import pytest

from plugmux.attachments import Attachment
from plugmux.cache import Cache
from plugmux.credentials import Credential
from plugmux.errors import InvalidRequestError
from plugmux.http import Http
from plugmux.messages import Message
from plugmux.model import Model, Task
from plugmux.requests import Limits, Options, Request
from plugmux.session import Session
from plugmux.stopwatch import Stopwatch
from plugmux.testing import FaultServer, SeenRequest, replies
from plugmux.transport import Transport
from plugmux_hf_media import plugin
from plugmux_hf_media._table import _ROUTES

TOKEN = "hf_" + "sandbox"
"""The client sends by way of the router only what begins like a Hub token."""

PIXEL = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01" + bytes(12)
SOUND = b"RIFF\x24\0\0\0WAVEfmt " + bytes(24)
EVERY = {"negative_prompt": "blur", "num_inference_steps": 20, "guidance_scale": 3.5, "seed": 7}
SIZE = {"width": 1024, "height": 768}

IDS = {
    "fal-ai": "fal-ai/some/model",
    "replicate": "org/model",
    "together": "org/model",
    "novita": "wan-t2v",
    "nscale": "org/model",
    "wavespeed": "wavespeed-ai/model",
    "zai-org": "glm-image",
    "deepinfra": "org/model",
}
NOT_THERE = {("together", Task.AUTOMATIC_SPEECH_RECOGNITION)}
"""What only the JavaScript client has."""


def _options(task: Task, provider: str) -> dict[str, Any]:
    if task is Task.TEXT_TO_SPEECH:
        return {"voice": "af_alloy"} if provider != "hf-inference" else {}
    if task is Task.AUTOMATIC_SPEECH_RECOGNITION:
        return {}
    return EVERY | (SIZE if task in (Task.TEXT_TO_IMAGE, Task.IMAGE_TO_IMAGE) else {})


def _cases() -> list[dict[str, Any]]:
    cases = []
    for provider, task in _ROUTES:
        if (provider, task) in NOT_THERE:
            continue
        assert provider is not None
        for kind in ("plain", "full"):
            name = f"{provider}.{Task(task).value}.{kind}"
            model = f"org/{name}"
            needs_prompt = task != Task.AUTOMATIC_SPEECH_RECOGNITION
            cases.append(
                {
                    "id": name,
                    "provider": provider,
                    "task": Task(task).value,
                    "model": model,
                    "remote_id": IDS.get(provider, model),
                    "prompt": "a cat" if needs_prompt else "",
                    "options": _options(Task(task), provider) if kind == "full" else {},
                    "token": TOKEN,
                }
            )
    versioned = {"id": "replicate.versioned", "remote_id": "org/model:0a1b", "model": "org/versioned"}
    kontext = {
        "id": "together.kontext",
        "remote_id": "x/FLUX.1-Kontext",
        "model": "org/kontext",
        "prompt": "",
    }
    for changes, like in (
        (versioned, "replicate.text-to-image.full"),
        (kontext, "together.image-to-image.full"),
    ):
        cases.append(next(case for case in cases if case["id"] == like) | changes)
    return cases


CASES = _cases()

_QUEUE = "where the two official clients differ, the queue is taken"
_SQUARE = "fal's own default is 4:3; a request means the same picture wherever it is served"
_LABEL = "fal knows WAV by this label only (the JavaScript client); huggingface_hub says audio/mpeg always"
_STAR = "wavespeed reads `size`; width and height alone say nothing to it"
_STEPS = "novita's asynchronous route says `steps` (the JavaScript client)"
_REPORTED = "z.ai documents none of these: they are reported to the caller instead of sent"
_SPREAD = "the size is said as the provider says it for text-to-image; `target_size` is the Hub's word"

# case → (what huggingface_hub has there, what plugmux has there, why)
DIFFERENCES: dict[str, dict[str, tuple[Any, Any, str]]] = {
    "fal-ai.text-to-image.plain": {
        "path": ("/fal-ai/fal-ai/some/model", "/fal-ai/fal-ai/some/model?_subdomain=queue", _QUEUE),
        "image_size": (None, "square_hd", _SQUARE),
    },
    "fal-ai.text-to-image.full": {
        "path": ("/fal-ai/fal-ai/some/model", "/fal-ai/fal-ai/some/model?_subdomain=queue", _QUEUE),
    },
    "fal-ai.automatic-speech-recognition.plain": {
        "audio_url": ("data:audio/mpeg;base64,UklG", "data:audio/x-wav;base64,UklG", _LABEL),
    },
    "fal-ai.automatic-speech-recognition.full": {
        "audio_url": ("data:audio/mpeg;base64,UklG", "data:audio/x-wav;base64,UklG", _LABEL),
    },
    "novita.text-to-video.plain": {
        "path": ("/novita/v3/hf/wan-t2v", "/novita/v3/async/wan-t2v", _QUEUE),
    },
    "novita.text-to-video.full": {
        "path": ("/novita/v3/hf/wan-t2v", "/novita/v3/async/wan-t2v", _QUEUE),
        "num_inference_steps": (20, None, _STEPS),
        "steps": (None, 20, _STEPS),
    },
    "wavespeed.text-to-image.full": {
        "width": (1024, None, _STAR),
        "height": (768, None, _STAR),
        "size": (None, "1024*768", _STAR),
    },
    "wavespeed.image-to-image.full": {
        "target_size": (SIZE, None, _STAR),
        "size": (None, "1024*768", _STAR),
    },
    "zai-org.text-to-image.full": {name: (value, None, _REPORTED) for name, value in EVERY.items()},
    "replicate.image-to-image.full": {
        "input.target_size": (SIZE, None, _SPREAD),
        "input.width": (None, 1024, _SPREAD),
        "input.height": (None, 768, _SPREAD),
    },
    "together.image-to-image.full": {
        "target_size": (SIZE, None, _SPREAD),
        "width": (None, 1024, _SPREAD),
        "height": (None, 768, _SPREAD),
    },
}
DIFFERENCES["together.kontext"] = DIFFERENCES["together.image-to-image.full"]


def _hub(request: SeenRequest) -> replies.Reply:
    """The Hub's two questions, and a refusal of everything else."""
    path = request.path.partition("?")[0]
    if not path.startswith("/api/models/"):
        return replies.json({"error": "seen"}, status=400)
    model = path.removeprefix("/api/models/")
    case = next(case for case in CASES if case["model"] == model)
    entry = {"status": "live", "providerId": case["remote_id"], "task": case["task"]}
    mapping = {case["provider"]: entry}
    return replies.json({"id": model, "pipeline_tag": case["task"], "inferenceProviderMapping": mapping})


@pytest.fixture(scope="module")
def arrived(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], SeenRequest]:
    """What arrived, by case and by client."""
    python = os.environ.get("PLUGMUX_TEST_HUB_PYTHON")
    if not python:
        pytest.skip("PLUGMUX_TEST_HUB_PYTHON does not name an interpreter that has huggingface_hub")
    folder = tmp_path_factory.mktemp("hub")
    (folder / "a.jpg").write_bytes(PIXEL)
    (folder / "a.wav").write_bytes(SOUND)
    files = {"image": str(folder / "a.jpg"), "audio": str(folder / "a.wav")}
    (folder / "cases.json").write_text(json.dumps([case | files for case in CASES]))
    with FaultServer(_hub).in_thread() as server:
        _send_by_hub(python, server.url, folder)
        theirs = _submissions(server.requests)
        server.requests.clear()
        anyio.run(_send_by_plugmux, server.url)
        ours = _submissions(server.requests)
    both = {"hub": theirs, "plugmux": ours}
    return {(client, name): seen for client, found in both.items() for name, seen in found.items()}


def _send_by_hub(python: str, url: str, folder: Path) -> None:
    script = Path(__file__).with_name("hub_client.py")
    environ = {"PATH": os.environ["PATH"], "HF_HOME": str(folder), "NO_PROXY": "*"}
    done = subprocess.run(
        [python, str(script), url, str(folder / "cases.json")],
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]


async def _send_by_plugmux(url: str) -> None:
    transport = Transport()
    try:
        for case in CASES:
            with pytest.raises(InvalidRequestError, match="seen"):
                await _attempt(case, url, transport)
    finally:
        await transport.aclose()


async def _attempt(case: dict[str, Any], url: str, transport: Transport) -> None:
    watch = Stopwatch(Limits(total=20))
    credential = Credential.bearer(TOKEN, origins=[url])
    session = Session(
        provider="hf-media",
        settings={"router_url": url, "hub_url": url},
        http=Http(transport, watch, credential),
        cache=Cache(None),
        credential=credential,
        limits=watch.limits,
        watch=watch,
        transport=transport,
        environ={},
    )
    [model] = await plugin.get_models(session=session, wanted=case["model"])
    request = Request(
        id=case["id"],
        model=model,
        task=Task(case["task"]),
        messages=(Message(role="user", content=case["prompt"]),),
        options=Options(**case["options"], **_inputs(model), extra_headers={"x-case": case["id"]}),
    )
    async for _ in plugin.create_stream(request=request, session=session):
        pass


def _inputs(model: Model) -> dict[str, Attachment]:
    if "image" in model.inputs:
        return {"image": Attachment(name="a.jpg", mime_type="image/jpeg", data=PIXEL)}
    if "audio" in model.inputs:
        return {"audio": Attachment(name="a.wav", mime_type="audio/wav", data=SOUND)}
    return {}


def _submissions(requests: list[SeenRequest]) -> dict[str, SeenRequest]:
    return {seen.headers["x-case"]: seen for seen in requests if seen.method == "POST"}


def _substance(seen: SeenRequest) -> dict[str, Any]:
    """The request as flat facts: path, headers that matter, and every leaf of the body by its place."""
    kind = seen.headers.get("content-type", "")
    facts: dict[str, Any] = {"method": seen.method, "path": seen.path}
    names = ("authorization", "prefer", "x-source-channel")
    facts |= {name: seen.headers.get(name) for name in names}
    if kind.startswith("multipart/"):
        return facts | {"form": _form(seen)}
    if kind.startswith("application/json"):
        return facts | _flat(seen.json())
    return facts | {"bytes": seen.body}


def _form(seen: SeenRequest) -> list[tuple[str, str | None, bytes]]:
    """Name, file name and content of each part, in order."""
    head = f"Content-Type: {seen.headers['content-type']}\r\n\r\n".encode()
    parts = message_from_bytes(head + seen.body).get_payload()
    return [
        (
            str(part.get_param("name", header="content-disposition")),
            part.get_filename(),
            part.get_payload(decode=True),
        )
        for part in parts  # type: ignore[union-attr]
    ]


def _flat(value: Any, place: str = "") -> dict[str, Any]:
    """Leaves by place. An empty `parameters` says nothing, and is no leaf."""
    if isinstance(value, dict) and place != "target_size" and not place.endswith("_size"):
        flat: dict[str, Any] = {}
        for key, inner in value.items():
            flat |= _flat(inner, f"{place}.{key}" if place else key)
        return flat
    return {place: value}


def _cut(value: Any) -> Any:
    """Long data URLs by their beginning."""
    return value[: value.index("base64,") + 11] if isinstance(value, str) and "base64," in value else value


@pytest.mark.parametrize("id", [case["id"] for case in CASES])
def test_both_clients_send_the_same(arrived: dict[tuple[str, str], SeenRequest], id: str) -> None:
    theirs, ours = _substance(arrived["hub", id]), _substance(arrived["plugmux", id])
    different = {
        name: (_cut(theirs.get(name)), _cut(ours.get(name)))
        for name in sorted(theirs.keys() | ours.keys())
        if theirs.get(name) != ours.get(name)
    }
    listed = {name: (there, here) for name, (there, here, _) in DIFFERENCES.get(id, {}).items()}
    assert different == listed


def test_every_difference_has_a_reason_and_a_case() -> None:
    assert DIFFERENCES.keys() <= {case["id"] for case in CASES}
    assert all(why for listed in DIFFERENCES.values() for _, _, why in listed.values())
