"""What is a refusal of the content and what only sounds like one; errors in place of a job or a result."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from plugmux.attachments import Attachment
from plugmux.errors import (
    ContentFilterError,
    InvalidRequestError,
    MalformedResponseError,
    ProviderError,
    QuotaExceededError,
    Scope,
    ServerError,
)
from plugmux.media import Media
from plugmux.model import Task

T2I, I2I, ASR = Task.TEXT_TO_IMAGE, Task.IMAGE_TO_IMAGE, Task.AUTOMATIC_SPEECH_RECOGNITION


async def failure(box: Any, request: Any, *answers: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await box.play(box.Service(answers), request)
    return caught.value


def prediction(box: Any) -> Any:
    return box.request_for(T2I, "replicate", "o/m", "a fox")


@pytest.mark.parametrize(
    "why",
    [
        "NSFW content detected. Try running it again, or try a different prompt.",
        "The input or output was flagged as sensitive. Please try again with different inputs. (E005)",
        "The prompt violates our content policies",
        "rejected by the safety checker",
        "material flagged by a content checker",
    ],
)
async def test_a_job_that_is_refused_ends_the_request(box: Any, why: str) -> None:
    error = await failure(box, prediction(box), box.json({"id": "p", "status": "failed", "error": why}))
    assert isinstance(error, ContentFilterError)


@pytest.mark.parametrize(
    "why",
    [
        "aspect ratio is case-sensitive: got 16:9",
        "retry policy exhausted",
        "cannot load the safety_checker weights",
        "the moderate preset does not exist",
    ],
)
async def test_a_job_that_fails_over_something_else_does_not(box: Any, why: str) -> None:
    error = await failure(box, prediction(box), box.json({"id": "p", "status": "failed", "error": why}))
    assert isinstance(error, ServerError)
    assert error.message == f"the job failed: {why}"


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        ({"code": 400, "message": "Content flagged as NSFW"}, ContentFilterError, "Content flagged as NSFW"),
        ({"code": 400, "message": "bad size", "data": None}, InvalidRequestError, "bad size"),
        ({"code": 402, "message": "insufficient credits"}, QuotaExceededError, "insufficient credits"),
        ({"error": "no GPU left"}, ServerError, "no GPU left"),
    ],
)
async def test_an_error_in_place_of_a_job_is_told_in_the_providers_words(
    box: Any, body: Any, kind: type[ProviderError], message: str
) -> None:
    error = await failure(box, box.request_for(T2I, "wavespeed", "w/flux", "x"), box.json(body))
    assert type(error) is kind
    assert (error.message, error.retryable) == (message, False)


async def test_a_code_for_used_up_credit_rules_out_this_upstream_only(box: Any) -> None:
    answer = box.json({"code": 402, "message": "insufficient credits"})
    error = await failure(box, box.request_for(T2I, "wavespeed", "w/flux", "x"), answer)
    assert error.scope is Scope.UPSTREAM


async def test_an_answer_that_says_all_is_well_and_names_no_job_is_malformed(box: Any) -> None:
    answer = box.json({"code": 200, "message": "success", "data": {}})
    error = await failure(box, box.request_for(T2I, "wavespeed", "w/flux", "x"), answer)
    assert isinstance(error, MalformedResponseError)
    assert "did not name it" in error.message


@pytest.mark.parametrize("word", ["done", "null", "Sorry, I cannot do that", "/files/pictures/1"])
async def test_a_word_in_place_of_a_picture_is_quoted(box: Any, word: str) -> None:
    error = await failure(box, prediction(box), box.json({"id": "p", "status": "succeeded", "output": word}))
    assert isinstance(error, MalformedResponseError)
    assert repr(word) in error.message


async def test_bare_base64_of_a_small_picture_is_still_one(box: Any) -> None:
    gif = b"GIF89a\x01\0\x01\0\0\0\0;"
    answer = box.json({"id": "p", "status": "succeeded", "output": base64.b64encode(gif).decode()})
    played = await box.play(box.Service([answer]), prediction(box))
    assert played.of(Media)[0].data == gif


@pytest.mark.parametrize(
    ("task", "upstream", "option", "mime_type"),
    [
        (ASR, "deepinfra", "audio", "text/plain"),
        (ASR, "together", "audio", "image/png"),
        (I2I, "together", "image", "text/html"),
        (I2I, "fal-ai", "image", "audio/wav"),
    ],
)
async def test_a_file_of_another_kind_is_not_sent(
    box: Any, task: Task, upstream: str, option: str, mime_type: str
) -> None:
    given = {option: Attachment(name="notes.txt", mime_type=mime_type, data=b"hello")}
    error = await failure(box, box.request_for(task, upstream, "org/m", "x", **given))
    assert isinstance(error, InvalidRequestError)
    assert (error.message, error.param) == (f"notes.txt is {mime_type}, not {option}", option)
    assert error.scope is Scope.REQUEST
