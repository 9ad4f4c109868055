"""A complete answer is kept, whatever comes after its end; one that is not complete is never called so."""

from __future__ import annotations

import json

import httpx
import pytest

from plugmux.errors import ProviderError
from plugmux.events import Finish, ServedBy, Text, Usage
from plugmux.model import Model, Task

USAGE = {"choices": [], "usage": {"total_tokens": 4}}
BROKEN = {"error": {"message": "the usage cannot be counted", "code": 500}}
TGI = Model(
    id="org/raw",
    upstream="hf-inference",
    tasks=(Task.TEXT_GENERATION,),
    extra={"road": "text", "hub_id": "org/raw"},
)


def stream_that_breaks(*bodies):
    """An event stream, a piece each event, whose connection is lost instead of ended."""

    async def pieces():
        for body in bodies:
            yield f"data: {body if isinstance(body, str) else json.dumps(body)}\n\n".encode()
        raise httpx.ReadError("lost")

    return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=pieces())


class Asked:
    """Answers every POST with one answer, and counts them."""

    def __init__(self, answer):
        self.answer = answer
        self.posts = 0

    def __call__(self, request):
        if request.method == "GET":
            return httpx.Response(404)
        self.posts += 1
        return self.answer


def said(events):
    return [event for event in events if isinstance(event, Text | Usage | Finish)]


@pytest.mark.parametrize(
    ("after", "usage"),
    [
        ((), []),
        ((USAGE,), [Usage(total_tokens=4)]),
        ((USAGE, "[DONE]"), [Usage(total_tokens=4)]),
        (("[DONE]",), []),
    ],
)
async def test_a_connection_lost_after_the_end_costs_nothing(collect, chunk, after, usage):
    network = Asked(stream_that_breaks(chunk(content="All"), chunk("stop"), *after))
    assert said(await collect(network, "Hello")) == [Text(text="All"), *usage, Finish()]
    assert network.posts == 1


async def test_a_connection_lost_after_done_costs_nothing_even_without_a_reason(collect, chunk):
    network = Asked(stream_that_breaks(chunk(content="All"), "[DONE]"))
    assert said(await collect(network, "Hello")) == [Text(text="All"), Finish()]


async def test_a_connection_lost_after_the_end_of_a_text_costs_nothing(collect):
    last = {
        "token": {"text": "All"},
        "generated_text": "All",
        "details": {"finish_reason": "eos_token"},
    }
    network = Asked(stream_that_breaks(last))
    assert said(await collect(network, "Hello", model=TGI)) == [Text(text="All"), Finish()]


@pytest.mark.parametrize("label", ["text/event-stream", "text/plain"])
async def test_an_error_after_the_end_costs_nothing(collect, event_stream, chunk, label):
    answer = event_stream(chunk(content="All"), chunk("stop"), USAGE, BROKEN)
    answer.headers["content-type"] = label
    events = said(await collect(Asked(answer), "Hello"))
    assert events == [Text(text="All"), Usage(total_tokens=4), Finish()]


async def test_what_a_chat_answer_to_a_flat_prompt_has_said_is_kept_too(collect, event_stream):
    body = {"model": "m", "choices": [{"text": "All", "finish_reason": "stop"}]}
    events = said(await collect(Asked(event_stream(body, BROKEN)), "Hello", model=TGI))
    assert events == [Text(text="All"), Finish()]


async def test_an_answer_that_has_no_end_is_an_error(collect, chunk):
    with pytest.raises(ProviderError):
        await collect(Asked(stream_that_breaks(chunk(content="Ha"))), "Hello")


async def test_an_end_without_an_answer_is_an_error(collect):
    with pytest.raises(ProviderError):
        await collect(Asked(stream_that_breaks("[DONE]")), "Hello")


async def test_who_answered_is_still_known(collect, chunk):
    answer = stream_that_breaks(chunk(content="All"), chunk("stop"))
    answer.headers["x-inference-provider"] = "groq"
    events = await collect(Asked(answer), "Hello")
    assert events[0] == ServedBy(model="org/model", upstream="groq")
