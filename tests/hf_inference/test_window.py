"""A conversation too long for the window is shortened where that was asked for, and only there."""

from __future__ import annotations

import json

import httpx
import pytest

from plugmux.errors import ContextLengthError
from plugmux.events import Finish, Notice, Text
from plugmux.model import Model, Task
from plugmux_hf_inference._places import place_of
from plugmux_hf_inference._window import tokenizer_of

OWN = {"base_url": "http://127.0.0.1:8000/v1"}
LONG = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "first " * 200},
    {"role": "assistant", "content": "second " * 200},
    {"role": "user", "content": "third"},
]
KEPT = ["Be brief.", "third"]


@pytest.fixture
def server(event_stream, chunk):
    """A server that remembers what it was sent, refuses more than `limit` messages, and has this `/info`."""

    class Server:
        def __init__(self):
            self.bodies, self.refusal, self.limit, self.info = [], None, 99, None

        def __call__(self, request: httpx.Request) -> httpx.Response:
            if request.method == "GET":
                found = self.info if request.url.path == "/info" else None
                return httpx.Response(404) if found is None else httpx.Response(200, json=found)
            self.bodies.append(json.loads(request.content))
            if self.refusal and len(self.bodies[-1].get("messages", ())) > self.limit:
                return httpx.Response(400, json={"error": {"message": self.refusal}})
            if "inputs" in self.bodies[-1]:
                return event_stream({"token": {"text": "ok"}, "generated_text": "ok"})
            return event_stream(chunk(content="ok"), chunk("stop"), "[DONE]")

        def sent(self, number: int = -1) -> list[str]:
            return [message["content"] for message in self.bodies[number]["messages"]]

    return Server()


def small(window: int | None = 400) -> Model:
    return Model(id="org/model", context_length=window)


def codes(events):
    return [event.code for event in events if isinstance(event, Notice)]


async def test_whole_turns_are_left_out_to_fit_a_known_window(collect, server):
    events = await collect(server, LONG, model=small(), shorten=True, max_tokens=50)
    assert server.sent() == KEPT
    assert codes(events) == ["shortened"]
    assert "2 of 4 messages" in events[0].message


async def test_nothing_is_left_out_unasked(collect, server):
    events = await collect(server, LONG, model=small(), max_tokens=50)
    assert len(server.sent()) == 4
    assert codes(events) == []


async def test_a_conversation_that_fits_is_sent_whole(collect, server):
    await collect(server, LONG, model=small(100_000), shorten=True)
    assert len(server.sent()) == 4


async def test_a_last_message_that_is_too_long_is_an_error_with_the_numbers(collect, server):
    with pytest.raises(ContextLengthError) as caught:
        await collect(server, "word " * 5000, model=small(), shorten=True)
    assert caught.value.limit == 400
    assert caught.value.given > 400
    assert server.bodies == []


async def test_an_unknown_window_is_learnt_from_the_servers_refusal(collect, server):
    server.limit = 2
    server.refusal = (
        "This model's maximum context length is 400 tokens. However, you requested 950 tokens "
        "(900 in the messages, 50 in the completion)."
    )
    events = await collect(server, LONG, model=small(None), shorten=True, max_tokens=50)
    assert len(server.sent(0)) == 4
    assert server.sent(1) == KEPT
    assert codes(events) == ["shortened"]
    assert events[-1] == Finish()


async def test_a_refusal_that_shortening_cannot_help_stays_the_servers(collect, server):
    server.limit = 0
    server.refusal = (
        "This model's maximum context length is 400 tokens. However, your messages resulted in 900 tokens."
    )
    with pytest.raises(ContextLengthError, match="maximum context length is 400"):
        await collect(server, "word " * 900, model=small(None), shorten=True)
    assert len(server.bodies) == 1


async def test_a_refusal_is_not_answered_by_shortening_unasked(collect, server):
    server.limit = 2
    server.refusal = (
        "This model's maximum context length is 400 tokens. However, your messages resulted in 900 tokens."
    )
    with pytest.raises(ContextLengthError) as caught:
        await collect(server, LONG, model=small(None))
    assert caught.value.needs_context == 900
    assert len(server.bodies) == 1


async def test_tgi_is_asked_for_its_window(collect, server):
    server.info = {"max_total_tokens": 400}
    await collect(server, LONG, model=small(None), settings=OWN, shorten=True, max_tokens=50)
    assert server.sent() == KEPT


async def test_the_flat_prompt_is_made_of_what_fits(collect, server):
    model = Model(
        id="org/raw",
        upstream="hf-inference",
        tasks=(Task.TEXT_GENERATION,),
        context_length=400,
        extra={"road": "text"},
    )
    events = await collect(server, LONG, model=model, shorten=True, max_tokens=50)
    assert "first" not in server.bodies[0]["inputs"]
    assert "third" in server.bodies[0]["inputs"]
    assert codes(events) == ["road", "shortened"]
    assert Text(text="ok") in events


async def test_tools_take_room_as_well(collect, server):
    tools = [{"type": "function", "function": {"name": "look", "description": "look around " * 100}}]
    with pytest.raises(ContextLengthError):
        await collect(server, LONG, model=small(), shorten=True, max_tokens=50, tools=tools)


TOKENIZER = b'{"version": "1.0"}'


@pytest.fixture
def tokenizer(new_session):
    """What `tokenizer_of` finds with this network, environment and settings."""

    async def find(answer, **facts) -> bytes | None:
        session = new_session(answer, **facts)
        return await tokenizer_of("org/model", session, place_of(session))

    return find


async def test_a_tokenizer_is_taken_from_the_hub_once(tokenizer):
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(200, content=TOKENIZER)

    assert await tokenizer(answer) == TOKENIZER
    assert await tokenizer(answer) == TOKENIZER
    assert asked == ["https://huggingface.co/org/model/resolve/main/tokenizer.json"]


async def test_a_model_without_a_tokenizer_is_asked_for_it_once(tokenizer):
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return httpx.Response(404)

    assert await tokenizer(answer) is None
    assert await tokenizer(answer) is None
    assert len(asked) == 1


async def test_a_tokenizer_in_the_cache_of_the_hubs_libraries_is_read_from_there(tokenizer, tmp_path):
    folder = tmp_path / "hub" / "models--org--model"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc")
    (folder / "snapshots" / "abc").mkdir(parents=True)
    (folder / "snapshots" / "abc" / "tokenizer.json").write_bytes(TOKENIZER)
    found = await tokenizer(lambda request: pytest.fail("asked"), environ={"HF_HOME": str(tmp_path)})
    assert found == TOKENIZER


async def test_offline_a_tokenizer_is_not_asked_for(tokenizer):
    environ = {"HF_HUB_OFFLINE": "1", "HF_HOME": "/nonexistent"}
    found = await tokenizer(lambda request: pytest.fail("asked"), environ=environ, settings=OWN)
    assert found is None
