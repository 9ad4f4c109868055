"""Questions about a job that nobody answers, or that say it is lost: no job is made twice for them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from plugmux.attachments import Attachment
from plugmux.errors import AuthenticationError, DeadlineError, InvalidRequestError, ProviderError, ServerError
from plugmux.events import Finish
from plugmux.media import Media
from plugmux.model import Task
from plugmux.requests import Limits

T2I, ASR = Task.TEXT_TO_IMAGE, Task.AUTOMATIC_SPEECH_RECOGNITION
JOB = "https://queue.fal.run/fal-ai/flux/requests/j-1"


class Stalling(httpx.AsyncByteStream):
    """A body that begins, and then says nothing for longer than is borne."""

    def __init__(self, start: bytes) -> None:
        self._start = start

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._start
        raise httpx.ReadTimeout("silent")


def stalled(start: bytes, kind: str) -> httpx.Response:
    return httpx.Response(200, stream=Stalling(start), headers={"content-type": kind})


def silence() -> Exception:
    return httpx.ReadTimeout("silent")


def fal_job(box: Any, *steps: Any) -> Any:
    return box.Service([box.json({"status": "IN_QUEUE", "response_url": JOB}), *steps])


def drawing(box: Any) -> Any:
    return box.request_for(T2I, "fal-ai", "fal-ai/flux", "a fox")


def completed(box: Any) -> Any:
    return box.json({"status": "COMPLETED"})


def result(box: Any) -> Any:
    return box.json({"images": [{"url": f"{box.CDN}/a.png"}]})


def picture(box: Any) -> Any:
    return box.raw(box.PNG, "image/png")


async def failure(box: Any, service: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await box.play(service, drawing(box))
    return caught.value


# Silence


async def test_a_question_that_nobody_answers_is_put_again(box: Any) -> None:
    service = fal_job(box, silence(), completed(box), silence(), completed(box), result(box), picture(box))
    played = await box.play(service, drawing(box))
    assert [sent.method for sent in played.sent] == ["POST", *["GET"] * 6]
    assert played.events[-1] == Finish()


async def test_a_job_about_which_nobody_answers_is_given_up(box: Any) -> None:
    service = fal_job(box, *[silence() for _ in range(4)], box.json({}))
    error = await failure(box, service)
    assert isinstance(error, DeadlineError)
    assert (error.limit, error.seconds) == ("first_sign", 30.0)
    assert service.sent[-1].method == "PUT"


async def test_questions_and_downloads_wait_half_a_minute_and_the_submission_all_the_time(box: Any) -> None:
    service = fal_job(box, completed(box), result(box), picture(box))
    limits = Limits(first_sign=600, total=600)
    played = await box.play(service, drawing(box), limits=limits)
    waits = [sent.timeouts["read"] or 0 for sent in played.sent]
    assert waits[0] > 500
    assert waits[1:] == [30.0, 30.0, 30.0]


async def test_no_question_waits_past_the_end_of_the_attempt(box: Any) -> None:
    service = fal_job(box, completed(box), result(box), picture(box))
    played = await box.play(service, drawing(box), limits=Limits(first_sign=20, total=20))
    assert all((sent.timeouts["read"] or 0) <= 20 for sent in played.sent)


async def test_a_result_that_stalls_on_its_way_is_fetched_again(box: Any) -> None:
    service = fal_job(
        box, completed(box), result(box), stalled(box.PNG[:9], "image/png"), silence(), picture(box)
    )
    played = await box.play(service, drawing(box))
    assert played.of(Media)[0].data == box.PNG
    assert [sent.method for sent in played.sent].count("POST") == 1


async def test_a_result_that_always_stalls_is_not_made_again(box: Any) -> None:
    service = fal_job(
        box, completed(box), result(box), *[stalled(b"\x89P", "image/png") for _ in range(3)], box.json({})
    )
    error = await failure(box, service)
    assert isinstance(error, DeadlineError)
    assert not error.retryable


async def test_a_silent_host_of_what_goes_in_is_the_requests_fault(box: Any) -> None:
    request = box.request_for(ASR, "hf-inference", "org/w", audio=Attachment(url=f"{box.CDN}/a.wav"))
    with pytest.raises(InvalidRequestError, match=r"cannot fetch the audio to send: .* within 30 s"):
        await box.play(box.Service([silence()]), request)


# Jobs that are lost, or failed


async def test_a_failure_at_the_result_is_asked_about_again_and_the_job_is_not_made_again(box: Any) -> None:
    broken = [step for _ in range(4) for step in (completed(box), box.json({"detail": "out of memory"}, 500))]
    service = fal_job(box, *broken, box.json({}))
    error = await failure(box, service)
    assert isinstance(error, ServerError)
    assert (error.message, error.retryable) == ("out of memory", False)
    assert [sent.method for sent in service.sent].count("POST") == 1


@pytest.mark.parametrize("status", [429, 502, 503])
async def test_no_failed_question_is_worth_another_job(box: Any, status: int) -> None:
    error = await failure(
        box, fal_job(box, *[box.json({"detail": "no"}, status) for _ in range(4)], box.json({}))
    )
    assert not error.retryable


async def test_a_token_that_is_refused_half_way_is_not_renewed_to_make_the_job_again(box: Any) -> None:
    service = fal_job(box, box.json({"error": "Invalid username or password."}, 401), box.json({}))
    error = await failure(box, service)
    assert isinstance(error, AuthenticationError)
    assert not error.renewable


async def test_a_job_that_is_complained_of_in_an_answer_of_200_is_given_up(box: Any) -> None:
    accepted = box.json({"code": 200, "data": {"id": "j", "urls": {"get": "https://x.example/api/v3/p/j"}}})
    lost = box.json({"code": 404, "message": "task not found", "data": None})
    service = box.Service([accepted, lost])
    with pytest.raises(ProviderError, match="task not found") as caught:
        await box.play(service, box.request_for(T2I, "wavespeed", "w/flux", "a fox"))
    assert (caught.value.retryable, caught.value.forget) == (False, False)


async def test_a_status_without_a_word_or_a_complaint_is_asked_for_again(box: Any) -> None:
    service = fal_job(box, box.json({}), completed(box), result(box), picture(box))
    assert (await box.play(service, drawing(box))).events[-1] == Finish()


@pytest.mark.parametrize("status", [404, 410])
@pytest.mark.parametrize("done", [False, True])
async def test_a_job_that_is_gone_takes_its_model_with_it_nowhere(box: Any, status: int, done: bool) -> None:
    gone = box.json({"detail": "Request not found"}, status)
    service = fal_job(box, *([completed(box)] if done else []), gone, box.json({}))
    error = await failure(box, service)
    assert isinstance(error, ServerError)
    assert error.message == "the job is no longer there: Request not found"
    assert (error.status, error.retryable, error.forget) == (status, False, False)
