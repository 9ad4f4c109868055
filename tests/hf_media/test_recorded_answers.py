"""Every recorded media exchange, decoded. What must come out is written here by hand.

`{n}` in a name stands for each number of the list. Recordings of providers that are no longer routed are
decoded through the entry of one that speaks the same: their shapes may come back.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from plugmux.errors import (
    AuthenticationError,
    InvalidRequestError,
    MalformedResponseError,
    ModelLoadingError,
    ModelNotFoundError,
    ProviderError,
)
from plugmux.http import Response
from plugmux.huggingface.failures import error_of
from plugmux.media import MediaKind
from plugmux.model import Task
from plugmux_hf_media import _answers, _results
from plugmux_hf_media._routes import Route
from plugmux_hf_media._table import route_of

T2I, I2I, T2V = Task.TEXT_TO_IMAGE, Task.IMAGE_TO_IMAGE, Task.TEXT_TO_VIDEO
TTS, ASR = Task.TEXT_TO_SPEECH, Task.AUTOMATIC_SPEECH_RECOGNITION

FAL = "https://fal.media/files"
RIDER = "An astronaut riding a horse on the moon."
TIGER = "Extreme close-up of a single tiger eye"
DELIVERY = "https://replicate.delivery"
LORA_RESULT = (
    "https://storage.googleapis.com/isolate-dev-hot-rooster_toolkit_bucket/github_110602490/"
    "070f98f0fd8b48a4830b5bf50db99c97_a353212eca494473a64bb8041df035b9.png?"
)

# (recording, entry of the table, beginning of the URL, the service's own prompt)
URLS: list[tuple[str, tuple[str, Task], str, str | None]] = [
    ("fal-ai/text-to-image-1", ("fal-ai", T2I), "https://v3.fal.media/files/koala/7EQD", RIDER),
    ("fal-ai/text-to-image-2", ("fal-ai", T2I), "data:image/jpeg;base64,/9j/4AAQ", "Ghibli style sky whale"),
    ("fal-ai/text-to-image-3", ("fal-ai", T2I), LORA_RESULT, None),
    ("fal-ai/text-to-image-4", ("fal-ai", T2I), "data:image/jpeg;base64,/9j/4AAQ", TIGER),
    ("fal-ai/text-to-image-5", ("fal-ai", T2I), f"{FAL}/panda/G9jh2Jr2AlDQouQsyQLgt.jpeg", TIGER),
    ("fal-ai/text-to-image-6", ("fal-ai", T2I), f"{FAL}/tiger/dS4bSu_Id64Vk9dwfp1AK.png", RIDER),
    ("fal-ai/text-to-image-7", ("fal-ai", T2I), f"{FAL}/panda/Z8oLxNTAj2krojA0xvcUl.png", TIGER),
    ("fal-ai/text-to-image-8", ("fal-ai", T2I), f"{FAL}/panda/DjCUrjd9XWB4HQWaBumzV.png", TIGER),
    ("fal-ai/text-to-video-1", ("fal-ai", T2V), "https://v3.fal.media/files/penguin/Yvil", "A running dog"),
    ("fal-ai/text-to-video-2", ("fal-ai", T2V), f"{FAL}/zebra/hag_CGmcxZTwm4b6RS2Ld_output", None),
    ("fal-ai/text-to-video-3", ("fal-ai", T2V), f"{FAL}/penguin/otohzMrhAzJqJihM1SZbk_output", None),
    ("fal-ai/text-to-video-4", ("fal-ai", T2V), f"{FAL}/kangaroo/03FLlitj0sw_SksFU5Ws1_output", None),
    (
        "novita/text-to-video-1",
        ("novita", T2V),
        "https://d32s1zkpjdc4b1.cloudfront.net/d74a26a8-6eaa-45a3-a92c-c51369d68843.mp4",
        None,
    ),
    ("replicate/prediction-get-2", ("replicate", T2I), f"{DELIVERY}/pbxt/SrnptW7NluJeCSm", None),
    ("replicate/text-to-image-1", ("replicate", T2I), f"{DELIVERY}/yhqm/FCyXBQLf3tXRECn", None),
    ("replicate/text-to-image-4", ("replicate", T2I), f"{DELIVERY}/xezq/nfoAuo0vXJQuX6y", None),
    ("replicate/text-to-image-5", ("replicate", T2I), f"{DELIVERY}/xezq/Dfm3ncYzG12vPqG", None),
    ("replicate/text-to-image-6", ("replicate", T2I), f"{DELIVERY}/xezq/bcZA1ZASAEbPKFO", None),
    ("replicate/text-to-image-7", ("replicate", T2I), "data:image/png;base64,iVBORw0KGgo", None),
    ("replicate/text-to-speech-2", ("replicate", TTS), f"{DELIVERY}/czjl/jdiXdCIYKRp1L16", None),
    ("replicate/text-to-video-1", ("replicate", T2V), f"{DELIVERY}/xezq/kbgNy0QZ6bIFMJB", None),
]

# (recording, entry, MIME type by the content)
PICTURES_IN_JSON = [
    ("together/text-to-image-1", ("together", T2I), "image/jpeg"),
    ("together/text-to-image-2", ("together", T2I), "image/jpeg"),
    ("together/text-to-image-3", ("together", T2I), "image/jpeg"),
    ("nebius/text-to-image-1", ("nscale", T2I), "image/webp"),
    ("hyperbolic/text-to-image-1", ("fal-ai", T2I), "image/png"),
    ("hyperbolic/text-to-image-2", ("fal-ai", T2I), "image/png"),
    ("hyperbolic/text-to-image-3", ("fal-ai", T2I), "image/png"),
]
BYTES = [
    *((f"hf-inference/image-to-image-{n}", ("hf-inference", I2I), "image/jpeg") for n in range(1, 5)),
    *((f"hf-inference/text-to-image-{n}", ("hf-inference", T2I), "image/jpeg") for n in range(1, 7)),
    *((f"hf-inference/text-to-speech-{n}", ("hf-inference", TTS), "audio/flac") for n in range(1, 7)),
]
DOWNLOADS = [
    ("black-forest-labs/media-download-1", T2I, "image/jpeg"),
    ("fal-ai/media-download-1", T2I, "image/png"),
    ("replicate/media-download-1", TTS, "audio/wav"),
    ("replicate/media-download-2", T2V, "video/mp4"),
]
EMPTIED = ("fal-ai/media-download-2", "novita/media-download-1", "replicate/media-download-3")
"""The recorder dropped the bytes: an empty result is what is left."""

TEXTS = [
    ("fal-ai/automatic-speech-recognition-1", "fal-ai", " A man said to the universe, Sir, I exist."),
    (
        "fal-ai/automatic-speech-recognition-2",
        "fal-ai",
        "He has grave doubts whether Sir Frederick Leighton's work is really Greek after all, "
        "and can discover in it but little of rocky Ithaca.",
    ),
    ("hf-inference/automatic-speech-recognition-1", "hf-inference", "a man said to the universe sir i exist"),
    (
        "hf-inference/automatic-speech-recognition-2",
        "hf-inference",
        "GOING ALONG SLUSHY COUNTRY ROADS AND SPEAKING TO DAMP AUDIENCES IN DRAUGHTY SCHOOLROOMS DAY AFTER "
        "DAY FOR A FORTNIGHT HE'LL HAVE TO PUT IN AN APPEARANCE AT SOME PLACE OF WORSHIP ON SUNDAY MORNING "
        "AND HE CAN COME TO US IMMEDIATELY AFTERWARDS",
    ),
]

# (recording, the word for the state, the fraction by the log, the job's address)
JOBS = [
    ("replicate/prediction-get-1", "processing", 0.18, "vdcbnszbj37qhlzgoergjj5dsa"),
    ("replicate/prediction-get-3", "processing", None, "azaq55dbukgxg6kubr4k6g3pby"),
    ("replicate/prediction-get-4", "starting", None, "indao6zbputegy6dkdnyaebiri"),
    ("replicate/text-to-image-2", "starting", None, "vdcbnszbj37qhlzgoergjj5dsa"),
    ("replicate/text-to-image-3", "starting", None, "to5tvnrbh43inejuzpcz27oqse"),
    ("replicate/text-to-image-8", "starting", None, "hdwst0bb05rgp0cf0p29mzk2am"),
    ("replicate/text-to-speech-1", "starting", None, "2ea92hmwgnrga0cmpp9rj00evw"),
]
CANCELLED = [f"replicate/prediction-cancel-{n}" for n in (1, 2, 3)]

ERRORS: list[tuple[str, type[ProviderError], str]] = [
    ("fal-ai/automatic-speech-recognition-error-1", InvalidRequestError, "Unsupported data URL"),
    ("fal-ai/text-to-image-error-1", ModelNotFoundError, "404: Not Found"),
    ("fal-ai/text-to-image-error-2", InvalidRequestError, "str type expected"),
    ("fal-ai/text-to-image-error-3", InvalidRequestError, "field required"),
    ("hf-inference/audio-to-audio-error-1", InvalidRequestError, "Malformed soundfile"),
    (
        "hf-inference/automatic-speech-recognition-error-1",
        InvalidRequestError,
        "Error in `inputs`: Malformed soundfile",
    ),
    ("hf-inference/text-to-image-error-1", InvalidRequestError, "`negative_prompt` should be the same type"),
    ("hf-inference/text-to-speech-error-1", ModelLoadingError, "is currently loading"),
    ("hyperbolic/text-to-image-error-1", InvalidRequestError, "Field required"),
    ("hyperbolic/text-to-image-error-2", InvalidRequestError, "height: Field required; width: "),
    ("hyperbolic/text-to-image-error-3", InvalidRequestError, "is not supported for now"),
    ("hyperbolic/text-to-image-error-4", InvalidRequestError, "Field required"),
    ("replicate/text-to-image-error-1", InvalidRequestError, "Additional property provider is not allowed"),
    ("replicate/text-to-image-error-2", AuthenticationError, "You did not pass a valid authentication token"),
    ("replicate/text-to-speech-error-1", InvalidRequestError, "- input: text is required"),
    ("together/text-to-image-error-1", InvalidRequestError, "Invalid request"),
]

RETIRED = [f"black-forest-labs/text-to-image-{n}" for n in (1, 2, 3)]
"""A queue of its own at a provider that is no longer routed: the table has no entry for it."""


def _recorded(shared: Path, name: str) -> Response:
    recording = json.loads((shared / "recordings" / "inference" / f"{name}.json").read_text())
    answer = recording["response"]
    body = answer.get("body")
    if "bodyBase64" in answer:
        content = base64.b64decode(answer["bodyBase64"])
    else:
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    headers = {key.lower(): value for key, value in answer["headers"].items()}
    return Response(
        url=recording["request"]["url"], status=answer["status"], headers=headers, content=content
    )


def _entry(key: tuple[str, Task]) -> Route:
    route = route_of(*key)
    assert route is not None
    return route


@pytest.mark.parametrize(("name", "entry", "url", "prompt"), URLS, ids=[row[0] for row in URLS])
def test_the_result_is_at_a_url(
    shared: Path, name: str, entry: tuple[str, Task], url: str, prompt: str | None
) -> None:
    state = _answers.state_of(_entry(entry), _recorded(shared, name))
    [result] = state.results
    assert isinstance(result, str)
    assert result.startswith(url)
    assert (state.prompt or "").startswith(prompt or "")
    assert (state.prompt is None) == (prompt is None)


@pytest.mark.parametrize(
    ("name", "entry", "mime_type"), PICTURES_IN_JSON, ids=[row[0] for row in PICTURES_IN_JSON]
)
def test_the_result_is_base64(shared: Path, name: str, entry: tuple[str, Task], mime_type: str) -> None:
    [result] = _answers.state_of(_entry(entry), _recorded(shared, name)).results
    media = _results.media_of_base64(result, entry[1])
    assert (media.kind, media.mime_type) == (MediaKind.IMAGE, mime_type)


@pytest.mark.parametrize(("name", "entry", "mime_type"), BYTES, ids=[row[0] for row in BYTES])
def test_the_result_is_the_answer_itself(
    shared: Path, name: str, entry: tuple[str, Task], mime_type: str
) -> None:
    answer = _recorded(shared, name)
    state = _answers.state_of(_entry(entry), answer)
    assert state.content == answer.content
    assert _results.media_of(answer.content, entry[1], label=state.label).mime_type == mime_type


@pytest.mark.parametrize(("name", "task", "mime_type"), DOWNLOADS, ids=[row[0] for row in DOWNLOADS])
def test_a_download_is_what_its_content_says(shared: Path, name: str, task: Task, mime_type: str) -> None:
    answer = _recorded(shared, name)
    media = _results.media_of(answer.content, task, label=answer.content_type)
    assert media.mime_type == mime_type


@pytest.mark.parametrize("name", EMPTIED)
def test_an_empty_download_is_malformed(shared: Path, name: str) -> None:
    with pytest.raises(MalformedResponseError, match="empty"):
        _results.media_of(_recorded(shared, name).content, T2V)


@pytest.mark.parametrize(("name", "provider", "text"), TEXTS, ids=[row[0] for row in TEXTS])
def test_the_result_is_text(shared: Path, name: str, provider: str, text: str) -> None:
    state = _answers.state_of(_entry((provider, ASR)), _recorded(shared, name))
    assert _results.transcript_of(state.transcript) == (text, None)


@pytest.mark.parametrize(("name", "word", "fraction", "job"), JOBS, ids=[row[0] for row in JOBS])
def test_a_job_is_under_way(shared: Path, name: str, word: str, fraction: float | None, job: str) -> None:
    answer, route = _recorded(shared, name), _entry(("replicate", T2I))
    state = _answers.state_of(route, answer)
    assert (state.word, state.fraction, state.has_result, state.failure) == (word, fraction, False, None)
    assert route.queue is not None
    ticket = _answers.ticket_of(route.queue, answer)
    assert ticket.poll == f"/v1/predictions/{job}"
    assert ticket.cancel == ("POST", f"/v1/predictions/{job}/cancel")


@pytest.mark.parametrize("name", CANCELLED)
def test_a_cancelled_job_has_failed(shared: Path, name: str) -> None:
    state = _answers.state_of(_entry(("replicate", T2I)), _recorded(shared, name))
    assert (state.word, state.failure) == ("canceled", "the provider does not say why")


@pytest.mark.parametrize(("name", "kind", "text"), ERRORS, ids=[row[0] for row in ERRORS])
def test_an_error_is_typed(shared: Path, name: str, kind: type[ProviderError], text: str) -> None:
    error = error_of(_recorded(shared, name))
    assert type(error) is kind
    assert text in error.message


@pytest.mark.parametrize("name", RETIRED)
def test_a_retired_provider_has_no_entry(shared: Path, name: str) -> None:
    assert _recorded(shared, name).status == 200
    assert route_of("black-forest-labs", T2I) is None


def test_every_media_recording_is_in_a_list(shared: Path) -> None:
    folder = shared / "recordings" / "inference"
    tasks = ("text-to-image", "text-to-video", "text-to-speech", "image-to-image", "media-download")
    kinds = (*tasks, "automatic-speech-recognition", "prediction-", "audio-to-audio")
    found = {
        path.relative_to(folder).with_suffix("").as_posix()
        for path in folder.glob("*/*.json")
        if path.name.startswith(kinds)
    }
    listed: list[Any] = [*URLS, *PICTURES_IN_JSON, *BYTES, *DOWNLOADS, *TEXTS, *JOBS, *ERRORS]
    assert found == {row[0] for row in listed} | {*EMPTIED, *CANCELLED, *RETIRED}
