"""The plugin against its own sandbox, over real sockets, through the whole of core."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import anyio
import pytest

import plugmux
from plugmux.errors import AllProvidersFailedError, NoRouteError
from plugmux.events import Text
from plugmux.media import Media
from plugmux.settings import Settings


@pytest.fixture
def environ(box, tmp_path) -> dict[str, str]:
    folders = {"PLUGMUX_HOME": str(tmp_path), "HF_HOME": str(tmp_path)}
    return {**folders, **box.environment(), "PLUGMUX_DISABLE": "hf-chat,hf-media,hf-space"}


@pytest.fixture
async def client(environ) -> AsyncIterator[plugmux.AsyncClient]:
    async with plugmux.AsyncClient(settings=Settings.load(environ)) as client:
        yield client


@pytest.fixture
async def own(box, environ) -> AsyncIterator[plugmux.AsyncClient]:
    """A client that knows the sandbox as a server of one's own, called `local`."""
    instances = {"PLUGMUX_INSTANCES": f"local=hf-inference@{box.url}/hf-inference/v1"}
    async with plugmux.AsyncClient(settings=Settings.load(environ | instances)) as client:
        yield client


async def test_a_short_name_is_answered(client):
    done = await client.complete("llama-3.3-70b", "Hello there")
    assert "plugmux sandbox" in done.text
    assert "Hello there" in done.text
    assert (done.provider, done.finish_reason) == ("hf-inference", "stop")
    assert done.usage.prompt_tokens == 2


async def test_thinking_is_told_apart(client):
    done = await client.complete("sandbox/thinking", "Hello")
    assert done.reasoning == "This is the plugmux sandbox thinking, which it does not."
    assert done.text.startswith("This is the plugmux sandbox, ")


async def test_a_tool_is_called(client):
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    done = await client.complete("sandbox/chat", "Look!", tools=[tool])
    assert done.finish_reason == "tool_calls"
    assert [(call.name, call.arguments) for call in done.tool_calls] == [("look", "{}")]


async def test_the_tool_that_was_chosen_is_called_and_counted(client):
    tools = [
        {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
        for name in ("look", "listen")
    ]
    choice = {"type": "function", "function": {"name": "listen"}}
    done = await client.complete("sandbox/chat", "Hear!", tools=tools, tool_choice=choice)
    assert [call.name for call in done.tool_calls] == ["listen"]
    assert done.usage.prompt_tokens == 1


async def test_a_length_is_kept(client):
    done = await client.complete("sandbox/chat", "Hello", max_tokens=3)
    assert (done.text, done.finish_reason) == ("This is the", "length")


async def test_an_upstream_that_was_asked_for_answers(client):
    done = await client.complete("sandbox/chat:together", "Hello")
    assert done.upstream == "together"


async def test_an_upstream_is_asked_for_by_name_even_without_the_routers_list(environ, box):
    environ["PLUGMUX_HF_INFERENCE_ROUTER_URL"] += "/no-such-path"
    async with plugmux.AsyncClient(settings=Settings.load(environ)) as client:
        route = await client.explain("openai/gpt-oss-120b:novita")
    (found,) = route.candidates
    assert (found.model.remote_id, found.model.upstream) == ("openai/gpt-oss-120b:novita", "novita")


async def test_an_upstream_that_is_not_listed_is_left_to_the_router(client, box):
    done = await client.complete("sandbox/chat:cerebras", "Hello")
    assert done.trace.attempts[0].upstream == "cerebras"
    assert box.requests[-1].json()["model"] == "sandbox/chat:cerebras"


async def test_a_text_model_is_found_by_name_and_answers(client):
    done = await client.complete("sandbox/gpt2-like", "Once upon a time")
    assert "plugmux sandbox" in done.text
    assert done.upstream == "hf-inference"


async def test_an_answer_in_one_piece_says_the_same(client):
    streamed = await client.complete("sandbox/chat", "Hello")
    whole = await client.complete("sandbox/chat", "Hello", extra_body={"stream": False})
    assert (whole.text, whole.usage) == (streamed.text, streamed.usage)


async def test_a_server_of_ones_own_answers_for_a_model_it_does_not_list(own):
    done = await own.complete("local::my/model", "Hello")
    assert (done.provider, done.model) == ("local", "my/model")
    assert "plugmux sandbox" in done.text


async def test_tgi_answers_a_flat_prompt_at_ones_own_server(box, own):
    done = await own.complete("local::my/model", "Hello", task="text-generation", max_tokens=4)
    assert (done.text, done.finish_reason) == ("This is the plugmux", "length")
    assert box.requests[-1].path == "/hf-inference/generate_stream"


async def test_a_text_is_gone_on_with(client, box):
    begun = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "This is the"}]
    done = await client.complete("sandbox/chat", begun, action="continue")
    assert done.text.startswith(" plugmux sandbox, ")
    await client.complete("sandbox/gpt2-like", "Once upon", action="continue")
    assert box.requests[-1].json()["inputs"] == "Once upon"


async def test_the_list_names_what_is_trending_on_the_hub(client):
    listed = {model.id: model for model in await client.models(provider="hf-inference")}
    assert listed["sandbox/gpt2-like"].upstream == "hf-inference"
    assert listed["sandbox/vision"].inputs == {"image"}


async def test_an_unknown_model_is_refused_with_names_near_it(client):
    with pytest.raises(NoRouteError, match=r"Llama-3\.3-70B"):
        await client.complete("llama-3.3-70c", "Hello")


async def test_a_picture_is_drawn(client):
    done = await client.complete("flux-schnell", "a red fox")
    (picture,) = done.media
    assert isinstance(picture, Media)
    assert picture.mime_type == "image/png"


async def test_the_next_model_answers_when_the_first_fails(client):
    done = await client.complete(["sandbox/fault-503", "llama-3.3-70b"], "Hello", policy={"max_tries": 4})
    assert "plugmux sandbox" in done.text
    assert any("503" in str(attempt) for attempt in done.trace.attempts)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("401", "status 401"),
        ("402", "status 402"),
        ("404", "status 404"),
        ("context-length", "maximum context length is 4096"),
        ("empty", "before it began"),
        ("html", "HTML page"),
        ("half-json", "expected a JSON answer"),
        ("cut", "broke"),
    ],
)
async def test_a_fault_is_named_and_never_called_an_answer(client, fault, said):
    with pytest.raises((AllProvidersFailedError, NoRouteError), match=said):
        await client.complete(f"sandbox/fault-{fault}", "Hello", policy={"max_tries": 1})


@pytest.mark.parametrize("fault", ["malformed-chunk", "no-done", "500-once"])
async def test_a_small_fault_still_ends_in_an_answer(client, fault):
    done = await client.complete(f"sandbox/fault-{fault}", "Hello")
    assert "plugmux" in done.text


@pytest.mark.parametrize("way", ["break", "error", "cancel"])
async def test_leaving_early_closes_the_connection_at_once(box, client, way):
    box.timings = type(box.timings)(token=0.02)
    try:
        with anyio.move_on_after(10) as scope:
            try:
                async with client.stream("sandbox/chat", f"leave by {way}") as stream:
                    async for event in stream:
                        if isinstance(event, Text):
                            if way == "break":
                                break
                            if way == "error":
                                raise KeyError
                            scope.cancel()
            except KeyError:
                pass
        await _left(box)
    finally:
        box.timings = type(box.timings)(token=0)


async def _left(box) -> None:
    """The server sees the client go within 100 ms (a second for a busy machine)."""
    started = time.monotonic()
    while not box.requests[-1].left:
        assert time.monotonic() - started < 1.0
        await anyio.sleep(0.005)
