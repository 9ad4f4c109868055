"""The multi-step scenarios that were built from both official clients: each is played as it stands, the
requests are compared with the ones it names, and the outcome with what is written here by hand."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from plugmux.attachments import Attachment
from plugmux.errors import ContentFilterError, DeadlineError, ProviderError, ServerError
from plugmux.events import Finish, Text
from plugmux.media import Media
from plugmux.model import Task
from plugmux.requests import Limits

IMAGE = Attachment(name="cat.png", mime_type="image/png", data=b"")
JPEG = Attachment(name="cat.jpg", mime_type="image/jpeg", data=b"")
SOUND = Attachment(name="a.wav", mime_type="audio/wav", data=b"")

# scenario → upstream's id, prompt, options, MIME type that must come out
MEDIA: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "deepinfra/text-to-speech-bytes": ("hexgrad/Kokoro-82M", "Hello", {}, "audio/mpeg"),
    "fal-ai/image-to-image-queue": (
        "fal-ai/flux-kontext/dev",
        "make it blue",
        {"image": IMAGE},
        "image/png",
    ),
    "fal-ai/image-to-video-queue": (
        "fal-ai/wan/v2.2-a14b/image-to-video",
        "it moves",
        {"image": IMAGE},
        "video/mp4",
    ),
    "fal-ai/text-to-image-queue-as-huggingface.js": ("fal-ai/flux/dev", "a cat", {}, "image/jpeg"),
    "fal-ai/text-to-speech-sync": ("fal-ai/kokoro/american-english", "Hello", {}, "audio/wav"),
    "fal-ai/text-to-video-queue": (
        "fal-ai/wan/v2.2-a14b/text-to-video",
        "a cat walks",
        {},
        "video/mp4",
    ),
    "novita/text-to-video-async": (
        "wan-t2v",
        "a cat",
        {"num_inference_steps": 20},
        "video/mp4",
    ),
    "nscale/text-to-image-b64": (
        "black-forest-labs/FLUX.1-schnell",
        "a cat",
        {"width": 1024, "height": 1024, "num_inference_steps": 4},
        "image/png",
    ),
    "replicate/image-to-image-sync": (
        "black-forest-labs/flux-kontext-dev",
        "blue",
        {"image": IMAGE},
        "image/webp",
    ),
    "together/image-to-image-kontext": (
        "black-forest-labs/FLUX.1-kontext-dev",
        "make it blue",
        {"image": IMAGE},
        "image/png",
    ),
    "together/image-to-video-poll": (
        "minimax/video-01-director",
        "it moves",
        {"image": IMAGE},
        "video/mp4",
    ),
    "together/text-to-speech-bytes": (
        "hexgrad/Kokoro-82M",
        "Hello",
        {"voice": "af_alloy"},
        "audio/mpeg",
    ),
    "together/text-to-video-poll": (
        "minimax/video-01-director",
        "a cat",
        {"num_inference_steps": 20, "width": 1280, "height": 720},
        "video/mp4",
    ),
    "wavespeed/image-to-video-poll": (
        "wavespeed-ai/wan-2.2/i2v-480p",
        "it moves",
        {"image": JPEG},
        "video/mp4",
    ),
    "wavespeed/text-to-image-poll": ("wavespeed-ai/flux-dev", "a cat", {}, "image/jpeg"),
    "wavespeed/text-to-video-poll": ("wavespeed-ai/wan-2.2/t2v-480p", "a cat", {}, "video/mp4"),
    "zai-org/text-to-image-poll": (
        "glm-image",
        "a cat",
        {"width": 1024, "height": 1024},
        "image/png",
    ),
}

# scenario → upstream's id, the text that must come out
TRANSCRIPTS = {
    "deepinfra/automatic-speech-recognition-multipart": ("openai/whisper-large-v3", "Hello world"),
    "replicate/automatic-speech-recognition-variant-list": ("openai/whisper:…", "hello-world"),
    "replicate/automatic-speech-recognition-variant-str": ("openai/whisper:…", "hello"),
    "replicate/automatic-speech-recognition-variant-transcription": ("openai/whisper:…", "bonjour"),
    "replicate/automatic-speech-recognition-variant-translation": ("openai/whisper:…", "hola"),
    "replicate/automatic-speech-recognition-variant-txt_file": ("openai/whisper:…", "from file"),
}

# scenario → upstream's id, prompt, options, error, a word of its message
FAILURES: dict[str, tuple[str, str, dict[str, Any], type[ProviderError], str]] = {
    "together/text-to-video-failed": ("m", "x", {}, ContentFilterError, "content policy"),
    "wavespeed/image-to-image-failed": (
        "wavespeed-ai/hidream-e1-full",
        "blue",
        {"image": JPEG},
        ContentFilterError,
        "NSFW content",
    ),
    "zai-org/text-to-image-fail": ("glm-image", "x", {}, ServerError, "does not say why"),
}

# What the plugin says beyond the scenario's request, each with its reason in the README.
BEYOND: dict[str, dict[str, Any]] = {
    "fal-ai/text-to-image-queue-as-huggingface.js": {"image_size": "square_hd"},
}


def _load(shared: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((shared / "recordings" / "constructed" / f"{name}.json").read_text())
    return found


def _near(text: str, cdn: str) -> str:
    """Hosts of results become a public address, for which no name has to be resolved."""
    hosts = "v3.fal.media|replicate.delivery|files.example.com|example.com|d1q70pf5vjeyhc.cloudfront.net"
    return re.sub(rf"https://({hosts})", rf"{cdn}/\1", text)


def _answer(response: Mapping[str, Any], cdn: str) -> httpx.Response:
    if "bodyBase64" in response:
        content = base64.b64decode(response["bodyBase64"])
    elif isinstance(response["body"], str):
        content = response["body"].encode()
    else:
        content = _near(json.dumps(response["body"]), cdn).encode()
    return httpx.Response(response["status"], headers=response["headers"], content=content)


def _filled(options: Mapping[str, Any], scenario: Mapping[str, Any]) -> dict[str, Any]:
    """The options with the bytes of the scenario's own picture or sound."""
    sent = json.dumps(scenario["steps"][0]["request"]["body"])
    found = re.search(r"base64,([A-Za-z0-9+/=]+)", sent)
    data = base64.b64decode(found[1]) if found else b"RIFF\x2c\0\0\0WAVE"
    return {
        name: Attachment(name=value.name, mime_type=value.mime_type, data=data)
        if isinstance(value, Attachment)
        else value
        for name, value in options.items()
    }


def _result(scenario: Mapping[str, Any]) -> bytes:
    """The bytes that the scenario ends with: a download's, or base64 in the last answer."""
    last = scenario["steps"][-1]["response"]
    return base64.b64decode(last.get("bodyBase64") or last["body"]["data"][0]["b64_json"])


async def _played(box: Any, scenario: Mapping[str, Any], request: Any, **how: Any) -> Any:
    steps = scenario["steps"]
    service = box.Service([_answer(step["response"], box.CDN) for step in steps])
    return await box.play(service, request, **how)


def _compare(box: Any, sent: list[Any], steps: list[dict[str, Any]], beyond: Mapping[str, Any]) -> None:
    assert len(sent) == len(steps)
    for got, step in zip(sent, steps, strict=True):
        expected = step["request"]
        assert got.method == expected["method"]
        assert got.url == _near(expected["url"], box.CDN)
        for name, value in expected["headers"].items():
            if name == "authorization":
                assert got.headers["authorization"] == f"Bearer {box.TOKEN}"
            elif name != "content-type":
                assert got.headers[name] == value
        if not expected["headers"]:
            assert "authorization" not in got.headers
        if isinstance(expected["body"], dict):
            assert got.json() == {**expected["body"], **beyond}


@pytest.mark.parametrize("name", MEDIA)
async def test_a_scenario_gives_its_media(shared: Path, box: Any, name: str) -> None:
    scenario = _load(shared, name)
    remote_id, prompt, options, mime_type = MEDIA[name]
    task, upstream = Task(scenario["task"]), scenario["provider"]
    request = box.request_for(task, upstream, remote_id, prompt, **_filled(options, scenario))
    played = await _played(box, scenario, request)
    [media] = played.of(Media)
    assert (media.mime_type, media.data) == (mime_type, _result(scenario))
    assert played.events[-1] == Finish()
    _compare(box, played.sent, scenario["steps"], BEYOND.get(name, {}))


@pytest.mark.parametrize("name", TRANSCRIPTS)
async def test_a_scenario_gives_its_text(shared: Path, box: Any, name: str) -> None:
    scenario = _load(shared, name)
    remote_id, text = TRANSCRIPTS[name]
    task, upstream = Task(scenario["task"]), scenario["provider"]
    request = box.request_for(task, upstream, remote_id, **_filled({"audio": SOUND}, scenario))
    played = await _played(box, scenario, request)
    assert played.of(Text) == [Text(text=text)]
    assert played.events[-1] == Finish()
    _compare(box, played.sent, scenario["steps"], {})


@pytest.mark.parametrize("name", FAILURES)
async def test_a_scenario_fails_with_the_providers_reason(shared: Path, box: Any, name: str) -> None:
    scenario = _load(shared, name)
    remote_id, prompt, options, kind, word = FAILURES[name]
    task, upstream = Task(scenario["task"]), scenario["provider"]
    request = box.request_for(task, upstream, remote_id, prompt, **_filled(options, scenario))
    with pytest.raises(kind, match=word):
        await _played(box, scenario, request)


async def test_a_cold_model_at_replicate_is_polled_until_the_time_is_up(shared: Path, box: Any) -> None:
    scenario = _load(shared, "replicate/text-to-image-cold-timeout")
    cold = scenario["steps"][0]["response"]
    service = box.Service([_answer(cold, box.CDN) for _ in range(10_000)])
    request = box.request_for(Task.TEXT_TO_IMAGE, "replicate", "a/b", "x")
    with pytest.raises(DeadlineError):
        await box.play(service, request, limits=Limits(total=1.0))
    assert service.sent[0].json() == {"input": {"prompt": "x"}}
    assert service.sent[1].url == f"{box.ROUTER}/replicate/v1/predictions/p2"
    last = service.sent[-1]
    assert (last.method, last.url) == ("POST", f"{box.ROUTER}/replicate/v1/predictions/p2/cancel")


def test_every_scenario_is_played(shared: Path) -> None:
    names = {
        path.relative_to(shared / "recordings" / "constructed").with_suffix("").as_posix()
        for path in (shared / "recordings" / "constructed").glob("*/*.json")
    }
    elsewhere = {"replicate/text-to-image-cold-timeout", "hub/list-models-expand-mapping-list-shape"}
    assert names == set(MEDIA) | set(TRANSCRIPTS) | set(FAILURES) | elsewhere
