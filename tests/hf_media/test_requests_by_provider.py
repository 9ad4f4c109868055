"""What each provider is sent for each task: path, headers and body, written by hand."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

from plugmux.attachments import Attachment
from plugmux.errors import InvalidRequestError, Scope
from plugmux.model import Task
from plugmux.requests import Options
from plugmux_hf_media import _wire
from plugmux_hf_media._routes import Wanted
from plugmux_hf_media._table import route_of

T2I, I2I, T2V, I2V = Task.TEXT_TO_IMAGE, Task.IMAGE_TO_IMAGE, Task.TEXT_TO_VIDEO, Task.IMAGE_TO_VIDEO
TTS, ASR = Task.TEXT_TO_SPEECH, Task.AUTOMATIC_SPEECH_RECOGNITION
HUB = "https://huggingface.co"
IMAGE = Attachment(name="a.png", mime_type="image/png", data=b"\x89PNG\r\n\x1a\n")
IMAGE_URL = "data:image/png;base64,iVBORw0KGgo="
SOUND = Attachment(name="secret name.wav", mime_type="audio/wav", data=b"RIFF....WAVE")
SOUND_BASE64 = "UklGRi4uLi5XQVZF"


def encoded(provider: str, task: Task, remote_id: str, prompt: str = "", **more: Any) -> _wire.Submission:
    route = route_of(provider, task, remote_id)
    assert route is not None
    weights = more.pop("weights", None)
    options = Options(**more)
    attachment = options.image or options.audio
    wanted = Wanted(
        model="org/model",
        remote_id=remote_id,
        prompt=prompt,
        attachment=attachment,
        options=options,
        weights=weights,
        hub=HUB,
    )
    return _wire.encode(route, wanted)


# provider, task, its id, prompt, options, path, body
PLAIN: list[tuple[str, Task, str, str, dict[str, Any], str, dict[str, Any]]] = [
    ("hf-inference", T2I, "org/sd", "a cat", {}, "/models/org/sd", {"inputs": "a cat"}),
    (
        *("hf-inference", I2I, "org/sd", "make it blue", {"image": IMAGE}, "/models/org/sd"),
        {"inputs": "iVBORw0KGgo=", "parameters": {"prompt": "make it blue"}},
    ),
    ("hf-inference", TTS, "org/tts", "Hello", {}, "/models/org/tts", {"inputs": "Hello"}),
    (
        *("fal-ai", T2I, "fal-ai/flux/dev", "a cat", {}, "/fal-ai/flux/dev?_subdomain=queue"),
        {"prompt": "a cat", "image_size": "square_hd"},
    ),
    (
        *("fal-ai", I2I, "fal-ai/edit", "blue", {"image": IMAGE}, "/fal-ai/edit?_subdomain=queue"),
        {"image_url": IMAGE_URL, "image_urls": [IMAGE_URL], "prompt": "blue"},
    ),
    ("fal-ai", T2V, "fal-ai/wan", "a cat", {}, "/fal-ai/wan?_subdomain=queue", {"prompt": "a cat"}),
    (
        *("fal-ai", I2V, "fal-ai/wan", "it moves", {"image": IMAGE}, "/fal-ai/wan?_subdomain=queue"),
        {"image_url": IMAGE_URL, "prompt": "it moves"},
    ),
    (
        "fal-ai",
        TTS,
        "fal-ai/kokoro",
        "Hello",
        {"voice": "a"},
        "/fal-ai/kokoro",
        {"text": "Hello", "voice": "a"},
    ),
    (
        *("fal-ai", ASR, "fal-ai/whisper", "", {"audio": SOUND}, "/fal-ai/whisper"),
        {"audio_url": f"data:audio/x-wav;base64,{SOUND_BASE64}"},
    ),
    (
        *("replicate", T2I, "org/flux", "a cat", {}, "/v1/models/org/flux/predictions"),
        {"input": {"prompt": "a cat"}},
    ),
    (
        *("replicate", T2I, "org/flux:v1", "a cat", {"seed": 0}, "/v1/predictions"),
        {"input": {"prompt": "a cat", "seed": 0}, "version": "v1"},
    ),
    (
        *("replicate", I2I, "org/edit", "blue", {"image": IMAGE}, "/v1/models/org/edit/predictions"),
        {
            "input": {
                "image": IMAGE_URL,
                "images": [IMAGE_URL],
                "input_image": IMAGE_URL,
                "input_images": [IMAGE_URL],
                "prompt": "blue",
            }
        },
    ),
    (
        "replicate",
        T2V,
        "o/w:1",
        "a cat",
        {},
        "/v1/predictions",
        {"input": {"prompt": "a cat"}, "version": "1"},
    ),
    ("replicate", TTS, "o/t:1", "Hello", {}, "/v1/predictions", {"input": {"text": "Hello"}, "version": "1"}),
    (
        *("replicate", ASR, "o/w", "", {"audio": SOUND, "language": "en"}, "/v1/models/o/w/predictions"),
        {"input": {"audio": f"data:audio/wav;base64,{SOUND_BASE64}", "language": "en"}},
    ),
    (
        *("together", T2I, "org/flux", "a cat", {"num_inference_steps": 4}, "/v1/images/generations"),
        {"prompt": "a cat", "model": "org/flux", "response_format": "base64", "steps": 4},
    ),
    (
        *("together", I2I, "google/edit", "blue", {"image": IMAGE}, "/v1/images/generations"),
        {
            "prompt": "blue",
            "model": "google/edit",
            "response_format": "base64",
            "reference_images": [IMAGE_URL],
        },
    ),
    (
        *("together", I2I, "bfl/FLUX.1-Kontext", "", {"image": IMAGE}, "/v1/images/generations"),
        {"prompt": "", "model": "bfl/FLUX.1-Kontext", "response_format": "base64", "image_url": IMAGE_URL},
    ),
    ("together", T2V, "org/v", "a cat", {}, "/v2/videos", {"prompt": "a cat", "model": "org/v"}),
    (
        *("together", I2V, "org/v", "", {"image": IMAGE}, "/v2/videos"),
        {"model": "org/v", "frame_images": [{"input_image": IMAGE_URL, "frame": "first"}]},
    ),
    (
        *("together", TTS, "org/t", "Hello", {"voice": "alloy"}, "/v1/audio/speech"),
        {"input": "Hello", "model": "org/t", "voice": "alloy"},
    ),
    (
        *("novita", T2V, "wan-t2v", "a cat", {"num_inference_steps": 20}, "/v3/async/wan-t2v"),
        {"prompt": "a cat", "steps": 20},
    ),
    (
        *("nscale", T2I, "org/flux", "a cat", {"width": 512, "height": 256}, "/v1/images/generations"),
        {"response_format": "b64_json", "prompt": "a cat", "model": "org/flux", "size": "512x256"},
    ),
    ("wavespeed", T2I, "w/flux", "a cat", {}, "/api/v3/w/flux", {"prompt": "a cat"}),
    (
        *("wavespeed", I2I, "w/edit", "blue", {"image": IMAGE}, "/api/v3/w/edit"),
        {"image": IMAGE_URL, "prompt": "blue"},
    ),
    (
        "wavespeed",
        T2V,
        "w/wan",
        "a cat",
        {"duration": 5.0},
        "/api/v3/w/wan",
        {"prompt": "a cat", "duration": 5},
    ),
    ("wavespeed", I2V, "w/wan", "", {"image": IMAGE}, "/api/v3/w/wan", {"image": IMAGE_URL}),
    (
        *("zai-org", T2I, "glm-image", "a cat", {"width": 1024, "height": 768}),
        "/api/paas/v4/async/images/generations",
        {"model": "glm-image", "prompt": "a cat", "size": "1024x768"},
    ),
    (
        *("deepinfra", TTS, "org/t", "Hello", {"speed": 1.5}, "/v1/openai/audio/speech"),
        {"input": "Hello", "model": "org/t", "speed": 1.5},
    ),
]


@pytest.mark.parametrize(
    ("provider", "task", "remote_id", "prompt", "options", "path", "body"),
    PLAIN,
    ids=[f"{row[0]}-{row[1].value}-{row[2]}" for row in PLAIN],
)
def test_a_provider_gets_its_own_request(
    provider: str,
    task: Task,
    remote_id: str,
    prompt: str,
    options: dict[str, Any],
    path: str,
    body: dict[str, Any],
) -> None:
    submission = encoded(provider, task, remote_id, prompt, **options)
    assert submission.path == path
    assert json.loads(submission.content) == body
    assert submission.ignored == ()


def test_every_entry_of_the_table_has_a_case() -> None:
    from plugmux_hf_media._table import _ROUTES

    elsewhere = {("hf-inference", ASR), ("together", ASR), ("deepinfra", ASR)}  # not JSON: below
    assert set(_ROUTES) == {(row[0], row[1]) for row in PLAIN} | elsewhere


@pytest.mark.parametrize(
    ("provider", "task", "headers"),
    [
        ("hf-inference", T2I, {"Accept": "image/png"}),
        ("replicate", T2I, {"Prefer": "wait"}),
        ("zai-org", T2I, {"x-source-channel": "hugging_face", "Accept-Language": "en-US,en"}),
    ],
)
def test_a_provider_gets_its_own_headers(provider: str, task: Task, headers: dict[str, str]) -> None:
    sent = encoded(provider, task, "org/model", "x", extra_headers={"X-Mine": "1"}).headers
    assert {name: sent[name] for name in headers} == headers
    assert (sent["X-Mine"], sent["Content-Type"]) == ("1", "application/json")


def test_sound_alone_goes_as_it_is_to_hf_inference() -> None:
    submission = encoded("hf-inference", ASR, "org/w", audio=SOUND)
    assert submission.path == "/models/org/w"
    assert (submission.content, submission.headers["Content-Type"]) == (SOUND.data, "audio/wav")


def test_sound_with_parameters_goes_as_json_to_hf_inference() -> None:
    submission = encoded(
        "hf-inference", ASR, "org/w", audio=SOUND, extra_body={"parameters": {"return_timestamps": True}}
    )
    assert json.loads(submission.content) == {
        "inputs": SOUND_BASE64,
        "parameters": {"return_timestamps": True},
    }


@pytest.mark.parametrize(
    ("provider", "path"),
    [("together", "/v1/audio/transcriptions"), ("deepinfra", "/v1/openai/audio/transcriptions")],
)
def test_sound_goes_as_a_form_with_the_model_last(provider: str, path: str) -> None:
    submission = encoded(
        provider, ASR, "org/w", audio=SOUND, language="en", extra_body={"response_format": "verbose_json"}
    )
    kind, _, boundary = submission.headers["Content-Type"].partition("; boundary=")
    assert (kind, submission.path) == ("multipart/form-data", path)
    file, *fields, end = submission.content.split(f"--{boundary}".encode())[1:]
    assert file == (
        b'\r\nContent-Disposition: form-data; name="file"; filename="audio.wav"\r\n'
        b"Content-Type: audio/wav\r\n\r\nRIFF....WAVE\r\n"
    )
    assert [field.split(b"\r\n")[1:4:2] for field in fields] == [
        [b'Content-Disposition: form-data; name="language"', b"en"],
        [b'Content-Disposition: form-data; name="response_format"', b"verbose_json"],
        [b'Content-Disposition: form-data; name="model"', b"org/w"],
    ]
    assert end == b"--\r\n"


@pytest.mark.parametrize(
    ("mime_type", "ending"),
    [
        ("audio/aac", ".aac"),
        ("audio/x-aiff", ".aiff"),
        ("audio/mpeg", ".mp3"),
        ("audio/x-m4a", ".m4a"),
        ("video/quicktime", ".mov"),
        ("application/octet-stream", ".wav"),
    ],
)
def test_a_transcriber_is_told_the_kind_of_sound_by_the_files_ending(mime_type: str, ending: str) -> None:
    sound = Attachment(mime_type=mime_type, data=b"sound")
    submission = encoded("deepinfra", ASR, "org/w", audio=sound)
    assert f'filename="audio{ending}"'.encode() in submission.content


@pytest.mark.parametrize(
    ("mime_type", "label"),
    [
        ("audio/wav", "audio/x-wav"),
        ("audio/webm", "video/webm"),
        ("audio/flac", "audio/mpeg"),
        ("audio/mpeg", "audio/mpeg"),
    ],
)
def test_fal_is_given_labels_that_it_knows(mime_type: str, label: str) -> None:
    sound = attrs.evolve(SOUND, mime_type=mime_type)
    body = json.loads(encoded("fal-ai", ASR, "fal-ai/whisper", audio=sound).content)
    assert body["audio_url"].startswith(f"data:{label};base64,")


def test_a_picture_by_url_stays_a_url() -> None:
    image = Attachment(url="https://pictures.example/a.png")
    body = json.loads(encoded("fal-ai", I2V, "fal-ai/wan", image=image).content)
    assert body == {"image_url": "https://pictures.example/a.png"}


LORA = "lora.safetensors"


@pytest.mark.parametrize(
    ("provider", "remote_id", "fields"),
    [
        (
            "fal-ai",
            "fal-ai/flux-lora",
            {"loras": [{"path": f"{HUB}/org/model/resolve/main/{LORA}", "scale": 1}]},
        ),
        (
            "fal-ai",
            "fal-ai/lora",
            {
                "loras": [{"path": f"{HUB}/org/model/resolve/main/{LORA}", "scale": 1}],
                "model_name": "stabilityai/stable-diffusion-xl-base-1.0",
            },
        ),
        ("replicate", "org/flux-lora", {"input": {"prompt": "x", "lora_weights": f"{HUB}/org/model"}}),
        ("wavespeed", "w/flux-lora", {"loras": [{"path": "org/model", "scale": 1}]}),
    ],
)
def test_a_lora_is_named_as_the_provider_names_it(
    provider: str, remote_id: str, fields: dict[str, Any]
) -> None:
    body = json.loads(encoded(provider, T2I, remote_id, "x", weights=LORA).content)
    assert {name: body[name] for name in fields} == fields


# provider, task, options, fields of the body that stand for them
SHAPES: list[tuple[str, Task, dict[str, Any], dict[str, Any]]] = [
    ("fal-ai", T2I, {"aspect_ratio": "1:1"}, {"image_size": {"width": 1024, "height": 1024}}),
    ("fal-ai", T2I, {"width": 640}, {"image_size": {"width": 640, "height": 640}}),
    ("fal-ai", T2I, {"width": 640, "aspect_ratio": "2:1"}, {"image_size": {"width": 640, "height": 320}}),
    (
        "fal-ai",
        T2V,
        {"aspect_ratio": "9:16", "resolution": "720p"},
        {"aspect_ratio": "9:16", "resolution": "720p"},
    ),
    ("fal-ai", T2V, {"duration": 5, "fps": 24}, {"duration": "5", "frames_per_second": 24}),
    ("hf-inference", I2I, {"width": 64, "height": 32}, {"target_size": {"width": 64, "height": 32}}),
    ("nscale", T2I, {"aspect_ratio": "16:9"}, {"size": "1376x768"}),
    ("novita", T2V, {"resolution": "720p"}, {"width": 1280, "height": 720}),
    ("novita", T2V, {"aspect_ratio": "16:9"}, {"width": 832, "height": 480}),
    ("novita", T2V, {"aspect_ratio": "9:16", "resolution": "1080p"}, {"width": 1080, "height": 1920}),
    ("novita", T2V, {"resolution": "1280x704"}, {"width": 1280, "height": 704}),
    ("novita", T2V, {"height": 720}, {"width": 1280, "height": 720}),
    ("replicate", T2I, {"aspect_ratio": "16:9"}, {"aspect_ratio": "16:9"}),
    ("replicate", T2I, {"width": 320, "height": 200}, {"width": 320, "height": 200}),
    ("replicate", T2V, {"fps": 16, "duration": 2.5}, {"frames_per_second": 16, "duration": 2.5}),
    ("together", T2V, {"duration": 5, "fps": 24}, {"seconds": 5, "fps": 24}),
    ("wavespeed", T2I, {"aspect_ratio": "1:1"}, {"size": "1024*1024"}),
    ("wavespeed", T2V, {"aspect_ratio": "1:1"}, {"size": "480*480"}),
    ("wavespeed", I2V, {"resolution": "720p"}, {"resolution": "720p"}),
]


@pytest.mark.parametrize(("provider", "task", "options", "fields"), SHAPES)
def test_shape_and_length_are_said_in_the_providers_words(
    provider: str, task: Task, options: dict[str, Any], fields: dict[str, Any]
) -> None:
    image = {"image": IMAGE} if task in (I2I, I2V) else {}
    submission = encoded(provider, task, "org/m", "x", **options, **image)
    body = json.loads(submission.content)
    inside = body.get("input") or body.get("parameters") or body
    fixed = {"prompt", "model", "response_format", "image", "image_url", "inputs"}
    assert {name: value for name, value in inside.items() if name not in fixed} == fields
    assert submission.ignored == ()


# provider, task, option that it has no word for
UNKNOWN: list[tuple[str, Task, dict[str, Any]]] = [
    ("nscale", T2I, {"num_inference_steps": 4}),
    ("zai-org", T2I, {"seed": 1}),
    ("fal-ai", T2V, {"width": 640}),
    ("hf-inference", TTS, {"voice": "a"}),
    ("together", TTS, {"speed": 2.0}),
    ("hf-inference", T2I, {"duration": 5.0}),
    ("fal-ai", T2I, {"temperature": 0.5}),
    ("wavespeed", T2V, {"fps": 24}),
]


@pytest.mark.parametrize(("provider", "task", "options"), UNKNOWN)
def test_an_option_without_a_word_is_reported_and_not_sent(
    provider: str, task: Task, options: dict[str, Any]
) -> None:
    [name] = options
    submission = encoded(provider, task, "org/m", "x", **options)
    assert submission.ignored == (name,)
    assert name.encode() not in submission.content


def test_what_was_not_given_is_not_sent() -> None:
    body = json.loads(encoded("together", T2V, "org/m", "x").content)
    assert set(body) == {"prompt", "model"}


def test_extra_body_goes_into_the_body_as_it_is() -> None:
    extra = {"input": {"output_quality": 90}, "webhook": "https://hooks.example"}
    body = json.loads(encoded("replicate", T2I, "org/m", "x", extra_body=extra).content)
    assert body == {"input": {"prompt": "x", "output_quality": 90}, "webhook": "https://hooks.example"}


@pytest.mark.parametrize("ratio", ["wide", "16", "0:9", "1:0", "100:1", "16:9:3"])
@pytest.mark.parametrize(("provider", "task"), [("nscale", T2I), ("novita", T2V)])
def test_a_ratio_that_is_none_is_refused_before_anything_is_sent(
    provider: str, task: Task, ratio: str
) -> None:
    with pytest.raises(InvalidRequestError, match="aspect_ratio") as caught:
        encoded(provider, task, "org/m", "x", aspect_ratio=ratio)
    assert (caught.value.param, caught.value.scope) == ("aspect_ratio", Scope.CANDIDATE)


def test_a_resolution_that_is_none_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(InvalidRequestError, match="resolution"):
        encoded("novita", T2V, "org/m", "x", resolution="sharp")


@pytest.mark.parametrize(("task", "word"), [(I2V, "image="), (ASR, "audio="), (T2I, "a prompt")])
def test_a_task_without_its_input_is_refused_before_anything_is_sent(task: Task, word: str) -> None:
    with pytest.raises(InvalidRequestError, match=word):
        encoded("fal-ai", task, "org/m")


def test_an_id_cannot_leave_its_path() -> None:
    path = encoded("hf-inference", T2I, "../../evil?x=1#y", "x").path
    assert "?" not in path
    assert "#" not in path
