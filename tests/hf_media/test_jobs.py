"""The course of an attempt: queues, progress, cancelling, fetching, and everything that goes wrong in it."""

from __future__ import annotations

import base64
from contextlib import aclosing
from typing import Any

import anyio
import httpx
import pytest
from attrs import evolve

from plugmux.attachments import Attachment
from plugmux.errors import (
    ConfigurationError,
    ConnectionFailedError,
    ContentFilterError,
    DeadlineError,
    InvalidRequestError,
    MalformedResponseError,
    ModelNotFoundError,
    ProviderError,
    QuotaExceededError,
    RateLimitError,
    Scope,
    ServerError,
)
from plugmux.events import Finish, Notice, Progress, ServedBy, Text
from plugmux.media import Media, MediaKind
from plugmux.messages import Message
from plugmux.model import Task
from plugmux.requests import Limits
from plugmux_hf_media import plugin

T2I, T2V, I2I = Task.TEXT_TO_IMAGE, Task.TEXT_TO_VIDEO, Task.IMAGE_TO_IMAGE
TTS, ASR = Task.TEXT_TO_SPEECH, Task.AUTOMATIC_SPEECH_RECOGNITION
DEEP: list[Any] = []
for _ in range(400):
    DEEP = [DEEP]
PICTURE_URL = "https://example.com/summer.png"
JOB = "https://queue.fal.run/fal-ai/wan/requests/j-1"
ROUTED = "https://router.huggingface.co/fal-ai/fal-ai/wan/requests/j-1"


def fal_job(box: Any, *steps: Any) -> Any:
    """A job of fal's that is accepted, and what comes after."""
    accepted = box.json({"status": "IN_QUEUE", "request_id": "j-1", "response_url": JOB, "queue_position": 2})
    return box.Service([accepted, *steps])


def film(box: Any, **more: Any) -> Any:
    return box.request_for(T2V, "fal-ai", "fal-ai/wan/t2v", "a boat at dawn", **more)


def status(box: Any, word: str, **more: Any) -> httpx.Response:
    found: httpx.Response = box.json({"status": word, **more}, 200)
    return found


async def test_a_queue_tells_its_progress_and_gives_the_film(box: Any) -> None:
    service = fal_job(
        box,
        status(box, "IN_QUEUE", queue_position=1),
        status(box, "IN_QUEUE", queue_position=1),
        status(box, "IN_PROGRESS"),
        status(box, "COMPLETED"),
        box.json({"video": {"url": f"{box.CDN}/v.mp4"}}),
        box.raw(box.MP4, "application/octet-stream"),
    )
    played = await box.play(service, film(box))
    assert played.of(ServedBy) == [ServedBy(model="fal-ai/wan/t2v", upstream="fal-ai")]
    assert played.of(Progress) == [
        Progress(stage="in_queue", position=2),
        Progress(stage="in_queue", position=1),
        Progress(stage="in_progress"),
    ]
    [media] = played.of(Media)
    assert (media.kind, media.mime_type, media.data) == (MediaKind.VIDEO, "video/mp4", box.MP4)
    assert media.url == f"{box.CDN}/v.mp4"
    assert played.events[-1] == Finish()


async def test_novitas_percentage_and_estimate_are_told(box: Any) -> None:
    task = {"status": "TASK_STATUS_PROCESSING", "progress_percent": 40, "eta": 12}
    service = box.Service(
        [
            box.json({"task_id": "t 1"}),
            box.json({"task": task, "videos": []}),
            box.json({"task": {"status": "TASK_STATUS_SUCCEED"}, "videos": [{"video_url": f"{box.CDN}/v"}]}),
            box.raw(box.MP4, "video/mp4"),
        ]
    )
    played = await box.play(service, box.request_for(T2V, "novita", "wan-t2v", "a boat"))
    assert played.of(Progress)[1] == Progress(stage="processing", fraction=0.4, eta=12.0)
    assert played.sent[1].url.endswith("/novita/v3/async/task-result?task_id=t%201")


async def test_the_token_goes_to_the_router_and_not_to_the_result(box: Any) -> None:
    service = fal_job(
        box,
        status(box, "COMPLETED"),
        box.json({"video": {"url": f"{box.CDN}/v.mp4"}}),
        box.raw(box.MP4, "video/mp4"),
    )
    played = await box.play(service, film(box))
    assert ["authorization" in sent.headers for sent in played.sent] == [True, True, True, False]


async def test_a_job_that_names_another_host_is_followed_on_the_router_only(box: Any) -> None:
    accepted = box.json({"data": {"id": "x", "urls": {"get": "https://evil.example/api/v3/predictions/x"}}})
    done = box.json({"data": {"status": "completed", "outputs": [f"{box.CDN}/1.png"]}})
    service = box.Service([accepted, done, box.raw(box.PNG, "image/png")])
    played = await box.play(service, box.request_for(T2I, "wavespeed", "w/flux", "x"))
    assert played.sent[1].url == f"{box.ROUTER}/wavespeed/api/v3/predictions/x"


@pytest.mark.parametrize(("count", "told"), [(1, []), (3, ["one picture is sent, 2 more are not"])])
async def test_the_picture_of_a_message_is_one_to_go_by(box: Any, count: int, told: list[str]) -> None:
    pictures = [{"type": "image_url", "image_url": {"url": PICTURE_URL}}] * count
    content = ({"type": "text", "text": "in winter"}, *pictures)
    request = evolve(
        box.request_for(I2I, "fal-ai", "fal-ai/kontext"), messages=(Message(role="user", content=content),)
    )
    service = box.Service(
        [box.json({"images": [{"url": f"{box.CDN}/p.png"}]}), box.raw(box.PNG, "image/png")]
    )
    played = await box.play(service, request)
    body = played.sent[0].json()
    assert (body["prompt"], body["image_url"]) == ("in winter", PICTURE_URL)
    assert [notice.message for notice in played.of(Notice)] == told


async def test_several_pictures_in_one_answer_all_come_out(box: Any) -> None:
    encoded = base64.b64encode(box.PNG).decode()
    service = box.Service([box.json({"data": [{"b64_json": encoded}, {"b64_json": encoded}]})])
    played = await box.play(service, box.request_for(T2I, "together", "org/flux", "x"))
    assert [media.data for media in played.of(Media)] == [box.PNG, box.PNG]


async def test_an_option_without_a_word_is_noticed(box: Any) -> None:
    service = box.Service([box.raw(box.WAV, "audio/wav")])
    played = await box.play(service, box.request_for(TTS, "together", "org/t", "Hello", speed=2.0))
    [notice] = played.of(Notice)
    assert (notice.code, notice.option) == ("option-ignored", "speed")
    assert "together" in notice.message


async def test_the_payer_is_named_in_every_request_to_the_router(box: Any) -> None:
    service = fal_job(
        box, status(box, "COMPLETED"), box.json({"video": {"url": "data:video/mp4;base64,AAAAIGZ0eXBpc29t"}})
    )
    played = await box.play(service, film(box), settings={"bill_to": "my-org"})
    assert [sent.headers.get("x-hf-bill-to") for sent in played.sent] == ["my-org"] * 3


# Cancelling


async def _cancelled_in_the_queue(box: Any, how: str) -> list[str]:
    service = fal_job(box, *[status(box, "IN_PROGRESS") for _ in range(500)])
    request = film(box)
    with anyio.CancelScope() as scope:
        async with box.opened(service, model=request.model) as session:
            events = plugin.create_stream(request=request, session=session)
            async with aclosing(events):
                async for event in events:
                    if how == "break at once" or (isinstance(event, Progress) and how == "break"):
                        break
                    if isinstance(event, Progress) and how == "cancel":
                        scope.cancel()
    return [f"{sent.method} {sent.url}" for sent in service.sent]


@pytest.mark.parametrize("how", ["break", "break at once", "cancel"])
async def test_a_caller_who_goes_has_the_job_cancelled(box: Any, how: str) -> None:
    sent = await _cancelled_in_the_queue(box, how)
    assert sent[-1] == f"PUT {ROUTED}/cancel?_subdomain=queue"


async def test_a_job_that_never_ends_is_given_up_in_time_and_cancelled(box: Any) -> None:
    service = fal_job(box, *[status(box, "IN_PROGRESS") for _ in range(10_000)])
    with anyio.fail_after(15), pytest.raises(DeadlineError) as caught:
        await box.play(service, film(box), limits=Limits(total=1.0))
    assert caught.value.limit == "total"
    assert service.sent[-1].method == "PUT"


async def test_a_job_that_failed_by_itself_is_not_cancelled(box: Any) -> None:
    request = box.request_for(T2I, "replicate", "o/m", "x")
    service = box.Service(
        [
            box.json({"id": "p1", "status": "starting"}),
            box.json({"id": "p1", "status": "failed", "error": "OOM"}),
        ]
    )
    with pytest.raises(ServerError, match="the job failed: OOM") as caught:
        await box.play(service, request)
    assert not caught.value.retryable
    assert len(service.sent) == 2


async def test_a_cancel_that_fails_hides_nothing(box: Any) -> None:
    service = fal_job(box, box.json({"detail": "gone"}, 404), box.json({"detail": "no"}, 500))
    with pytest.raises(ServerError, match="gone"):
        await box.play(service, film(box))


# Questions that fail


async def test_a_job_survives_questions_that_fail(box: Any) -> None:
    service = fal_job(
        box,
        box.json({"detail": "busy"}, 503),
        httpx.ConnectError("reset"),
        box.json({"detail": "slow down"}, 429),
        status(box, "COMPLETED"),
        box.json({"video": {"url": f"{box.CDN}/v.mp4"}}),
        box.raw(box.MP4, "video/mp4"),
    )
    assert (await box.play(service, film(box))).events[-1] == Finish()


async def test_a_job_is_given_up_when_no_question_is_answered(box: Any) -> None:
    service = fal_job(box, *[box.json({"detail": "busy"}, 503) for _ in range(4)], box.json({}))
    with pytest.raises(ServerError, match="busy"):
        await box.play(service, film(box))
    assert service.sent[-1].method == "PUT"


@pytest.mark.parametrize(
    ("status_code", "body", "kind"),
    [
        (402, {"error": "You have depleted your monthly included credits."}, QuotaExceededError),
        (429, {"error": "too many"}, RateLimitError),
        (
            422,
            {"detail": [{"loc": ["body"], "msg": "image is corrupt", "type": "value_error"}]},
            InvalidRequestError,
        ),
        (422, {"detail": [{"msg": "flagged by a content checker"}]}, ContentFilterError),
    ],
)
async def test_a_refused_submission_is_typed_and_keeps_its_request_id(
    box: Any, status_code: int, body: Any, kind: type[ProviderError]
) -> None:
    service = box.Service([box.json(body, status_code, **{"x-request-id": "Root=1-2"})])
    with pytest.raises(kind) as caught:
        await box.play(service, film(box))
    assert caught.value.request_id == "Root=1-2"


async def test_a_result_that_is_not_there_at_once_is_asked_for_again(box: Any) -> None:
    service = fal_job(
        box,
        status(box, "COMPLETED"),
        box.json({"detail": "bad gateway"}, 502),
        status(box, "COMPLETED"),
        box.json({"video": {"url": f"{box.CDN}/v.mp4"}}),
        box.raw(box.MP4, "video/mp4"),
    )
    assert (await box.play(service, film(box))).events[-1] == Finish()


async def test_a_provider_that_asks_for_an_hour_is_not_waited_for_past_the_end(box: Any) -> None:
    busy = box.json({"detail": "later"}, 429, **{"retry-after": "3600"})
    service = fal_job(box, busy, box.json({}))
    with anyio.fail_after(15), pytest.raises(DeadlineError):
        await box.play(service, film(box), limits=Limits(total=0.5))
    assert service.sent[-1].method == "PUT"


async def test_out_of_credit_rules_out_this_upstream_and_no_other(box: Any) -> None:
    service = box.Service([box.json({"error": "You have depleted your monthly included credits."}, 402)])
    with pytest.raises(QuotaExceededError) as caught:
        await box.play(service, film(box))
    assert caught.value.scope is Scope.UPSTREAM


async def test_no_error_quotes_the_token(box: Any) -> None:
    service = box.Service([box.raw(f"<html>{box.TOKEN}</html>".encode(), "text/html")])
    with pytest.raises(MalformedResponseError) as caught:
        await box.play(service, box.request_for(T2I, "hf-inference", "org/sd", "x"))
    assert box.TOKEN not in f"{caught.value} {vars(caught.value)}"


# Results that are none


@pytest.mark.parametrize(
    "answer",
    [
        {"images": []},
        {"images": [{"width": 1}]},
        {"images": None},
        {"images": [{"url": ""}]},
        [],
        "text",
        None,
        {"images": [7]},
        {"images": DEEP},
        {"images": {"url": {"url": {"url": {"url": {"url": "x"}}}}}},
    ],
)
async def test_a_done_job_without_a_result_is_malformed(box: Any, answer: Any) -> None:
    service = fal_job(box, status(box, "COMPLETED"), box.json(answer), box.json({}))
    with pytest.raises(MalformedResponseError, match="an answer without an image"):
        await box.play(service, box.request_for(T2I, "fal-ai", "fal-ai/flux", "x"))


async def test_a_failure_that_shows_only_at_the_result_is_told(box: Any) -> None:
    service = fal_job(box, status(box, "COMPLETED"), box.json({"detail": "the runner crashed"}), box.json({}))
    with pytest.raises(ServerError, match="the runner crashed"):
        await box.play(service, film(box))


async def test_a_system_prompt_is_told_to_be_left_out(box: Any) -> None:
    request = box.request_for(TTS, "together", "org/t", "Hello")
    rules = Message(role="system", content="be kind")
    service = box.Service([box.raw(box.WAV, "audio/wav")])
    played = await box.play(service, evolve(request, messages=(rules, *request.messages)))
    assert [notice.option for notice in played.of(Notice)] == ["system"]


async def test_a_blanked_picture_is_a_refusal(box: Any) -> None:
    answer = {"images": [{"url": f"{box.CDN}/black.png"}], "has_nsfw_concepts": [True]}
    service = fal_job(box, status(box, "COMPLETED"), box.json(answer), box.json({}))
    with pytest.raises(ContentFilterError, match="safety check"):
        await box.play(service, box.request_for(T2I, "fal-ai", "fal-ai/flux", "x"))


@pytest.mark.parametrize("body", [{}, {"response_url": 7}, {"response_url": "https://x.example/../../y"}, []])
async def test_a_job_without_a_name_is_malformed(box: Any, body: Any) -> None:
    with pytest.raises(MalformedResponseError, match="did not name it"):
        await box.play(box.Service([box.json(body)]), film(box))


async def test_a_job_whose_name_is_no_text_is_asked_for_in_vain(box: Any) -> None:
    named = box.json({"response_url": "https://x.example/a/\ud800"})
    with pytest.raises(ProviderError, match="no longer there"):
        await box.play(box.Service([named, box.json({"detail": "gone"}, 404), box.json({})]), film(box))


async def test_an_error_that_is_nested_too_deeply_is_still_typed(box: Any) -> None:
    deep = b'{"error": ' + b"[" * 900 + b"]" * 900 + b"}"
    for code in (200, 422):
        service = box.Service([box.raw(deep, "application/json", code)])
        with pytest.raises(ProviderError):
            await box.play(service, box.request_for(T2I, "together", "org/flux", "x"))


async def test_an_error_inside_an_answer_of_200_is_told(box: Any) -> None:
    service = box.Service([box.json({"error": {"message": "no GPU left"}})])
    with pytest.raises(ServerError, match="no GPU left"):
        await box.play(service, box.request_for(T2I, "together", "org/flux", "x"))


@pytest.mark.parametrize(
    ("content", "kind", "word"),
    [
        (b"<html>sign in</html>", "text/html", "sign in"),
        (b"<html>sign in</html>", "image/png", "belongs"),
        (b"{}", "image/png", "belongs"),
        (b"", "image/png", "empty"),
        (b"ID3\x04", "image/png", "audio/mpeg where an image belongs"),
        (b"hello", "text/plain", "hello"),
    ],
)
async def test_bytes_that_are_no_picture_are_malformed(
    box: Any, content: bytes, kind: str, word: str
) -> None:
    service = box.Service([box.raw(content, kind)])
    with pytest.raises(MalformedResponseError, match=word):
        await box.play(service, box.request_for(T2I, "hf-inference", "org/sd", "x"))


async def test_a_false_label_does_not_matter_where_the_content_is_known(box: Any) -> None:
    service = box.Service([box.raw(box.PNG, "application/octet-stream")])
    played = await box.play(service, box.request_for(T2I, "hf-inference", "org/sd", "x"))
    assert played.of(Media)[0].mime_type == "image/png"


async def test_broken_base64_is_malformed(box: Any) -> None:
    service = box.Service([box.json({"data": [{"b64_json": "%%%"}]})])
    with pytest.raises(MalformedResponseError, match="base64"):
        await box.play(service, box.request_for(T2I, "together", "org/flux", "x"))


# Fetching the result


def _picture_at(box: Any, url: str, *more: Any) -> Any:
    return box.Service([box.json({"output": url, "status": "succeeded"}), *more])


def _drawing(box: Any) -> Any:
    return box.request_for(T2I, "replicate", "o/m", "x")


@pytest.mark.parametrize("code", [401, 403, 404, 410])
async def test_an_expired_result_speaks_of_the_result_and_not_of_token_or_model(box: Any, code: int) -> None:
    service = _picture_at(box, f"{box.CDN}/old.png", box.raw(b"expired", "text/plain", code))
    with pytest.raises(MalformedResponseError, match="expired") as caught:
        await box.play(service, _drawing(box))
    assert not caught.value.renewable
    assert not caught.value.forget


async def test_a_result_that_breaks_off_is_fetched_again_and_not_made_again(box: Any) -> None:
    service = _picture_at(
        box,
        f"{box.CDN}/a.png",
        box.raw(b"", "text/plain", 503),
        httpx.ConnectError("reset"),
        box.raw(box.PNG, "image/png"),
    )
    played = await box.play(service, _drawing(box))
    assert [sent.method for sent in played.sent] == ["POST", "GET", "GET", "GET"]
    assert played.of(Media)[0].data == box.PNG


async def test_a_result_that_cannot_be_fetched_is_not_made_again_by_a_retry(box: Any) -> None:
    service = _picture_at(box, f"{box.CDN}/a.png", *[httpx.ConnectError("reset") for _ in range(3)])
    with pytest.raises(ConnectionFailedError) as caught:
        await box.play(service, _drawing(box))
    assert not caught.value.retryable


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/a.png",
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1/a.png",
        "http://[::1]/a.png",
    ],
)
async def test_a_result_at_a_private_address_is_not_fetched(box: Any, url: str) -> None:
    service = _picture_at(box, url)
    with pytest.raises(MalformedResponseError, match="private address"):
        await box.play(service, _drawing(box))
    assert len(service.sent) == 1


async def test_a_result_that_redirects_to_a_private_address_is_not_fetched(box: Any) -> None:
    there = httpx.Response(302, headers={"location": "http://10.0.0.1/a.png"})
    service = _picture_at(box, f"{box.CDN}/a.png", there)
    with pytest.raises(MalformedResponseError, match="private address"):
        await box.play(service, _drawing(box))


@pytest.mark.parametrize("url", ["ftp://files.example/a.png", "file:///etc/passwd", "javascript:1", "a b"])
async def test_a_result_at_a_strange_address_is_malformed(box: Any, url: str) -> None:
    with pytest.raises(MalformedResponseError):
        await box.play(_picture_at(box, url), _drawing(box))


async def test_an_html_page_in_place_of_the_result_is_malformed(box: Any) -> None:
    service = _picture_at(box, f"{box.CDN}/a.png", box.raw(b"<html>no</html>", "text/html"))
    with pytest.raises(MalformedResponseError, match="text/html where an image belongs"):
        await box.play(service, _drawing(box))


# What goes in


async def test_sound_by_url_is_fetched_for_a_provider_that_wants_bytes(box: Any) -> None:
    service = box.Service([box.raw(box.WAV, "audio/wav"), box.json({"text": "hi"})])
    request = box.request_for(ASR, "hf-inference", "org/w", audio=Attachment(url=f"{box.CDN}/a.wav"))
    played = await box.play(service, request)
    assert played.of(Text) == [Text(text="hi")]
    assert "authorization" not in played.sent[0].headers
    assert (played.sent[1].content, played.sent[1].headers["content-type"]) == (box.WAV, "audio/wav")


async def test_sound_that_cannot_be_fetched_is_the_requests_fault(box: Any) -> None:
    request = box.request_for(ASR, "hf-inference", "org/w", audio=Attachment(url="http://10.0.0.1/a.wav"))
    with pytest.raises(InvalidRequestError, match="private address") as caught:
        await box.play(box.Service([]), request)
    assert caught.value.param == "audio"


async def test_silence_is_an_empty_text_and_a_notice(box: Any) -> None:
    sound = Attachment(mime_type="audio/wav", data=box.WAV)
    service = box.Service([box.json({"text": ""})])
    played = await box.play(service, box.request_for(ASR, "fal-ai", "fal-ai/whisper", audio=sound))
    assert played.of(Text) == [Text(text="")]
    assert played.of(Notice)[0].code == "no-speech"


@pytest.mark.parametrize("body", [{"text": None}, {"text": 7}, {"text": []}, {"text": {"other": 1}}, {}])
async def test_a_recognition_without_text_is_malformed(box: Any, body: Any) -> None:
    sound = Attachment(mime_type="audio/wav", data=box.WAV)
    service = box.Service([box.json(body)])
    with pytest.raises(MalformedResponseError, match="an answer without a transcript"):
        await box.play(service, box.request_for(ASR, "hf-inference", "org/w", audio=sound))


@pytest.mark.parametrize(("upstream", "task"), [(None, T2I), ("groq", T2I), ("zai-org", T2V)])
async def test_what_the_table_does_not_know_is_not_sent_anywhere(
    box: Any, upstream: str | None, task: Task
) -> None:
    service = box.Service([])
    with pytest.raises(ModelNotFoundError, match="hf-media") as caught:
        await box.play(service, box.request_for(task, upstream, "org/m", "x"))
    assert "fal-ai" in caught.value.remedy
    assert service.sent == []


@pytest.mark.parametrize("value", ["soon", 0, -1, "nan"])
async def test_a_wrong_interval_is_named(box: Any, value: object) -> None:
    with pytest.raises(ConfigurationError, match="poll_seconds"):
        await box.play(fal_job(box), film(box), settings={"poll_seconds": value})
