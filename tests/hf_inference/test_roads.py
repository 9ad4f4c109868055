"""From a request to the events of its answer, on each road."""

from __future__ import annotations

import base64
import json

import httpx
import pytest

from plugmux.errors import (
    AuthenticationError,
    ContextLengthError,
    InvalidRequestError,
    MalformedResponseError,
    ProviderError,
    RateLimitError,
    StreamCutError,
)
from plugmux.events import Finish, FinishReason, Notice, ServedBy, Text
from plugmux.media import Media
from plugmux.model import Model, Task

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 16
OWN = {"base_url": "http://127.0.0.1:8000/v1"}
RAW = Model(
    id="org/raw",
    remote_id="org/raw",
    upstream="hf-inference",
    tasks=(Task.TEXT_GENERATION,),
    extra={"road": "text", "hub_id": "org/raw"},
)
TOO_LONG = (
    "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 100. "
    "Given: 90 `inputs` tokens and 50 `max_new_tokens`"
)


class Network:
    """Answers requests in turn (the last one again and again) and remembers them."""

    def __init__(self, *answers: httpx.Response) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(404, json={"error": "not here"})
        self.requests.append(request)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def body(self, number: int = -1):
        return json.loads(self.requests[number].content)


def spoken(events):
    return [event for event in events if not isinstance(event, ServedBy)]


def token_stream(event_stream, *texts):
    bodies = [{"token": {"text": text}, "generated_text": None} for text in texts]
    bodies[-1] |= {"generated_text": "".join(texts), "details": {"finish_reason": "eos_token"}}
    return event_stream(*bodies)


async def test_a_chat_goes_to_the_router(collect, event_stream, chunk):
    network = Network(event_stream(chunk(content="Hi"), chunk("stop"), "[DONE]"))
    events = await collect(network, "Hello", settings={"bill_to": "my-org"})
    assert spoken(events) == [Text(text="Hi"), Finish()]
    assert str(network.requests[0].url) == "https://router.huggingface.co/v1/chat/completions"
    assert network.requests[0].headers["x-hf-bill-to"] == "my-org"


async def test_a_chat_with_a_server_of_ones_own_goes_there(collect, event_stream, chunk):
    network = Network(event_stream(chunk(content="Hi"), chunk("stop"), "[DONE]"))
    await collect(network, "Hello", settings=OWN)
    assert str(network.requests[0].url) == "http://127.0.0.1:8000/v1/chat/completions"


async def test_an_answer_that_is_not_streamed_is_read_whole(collect):
    body = {"model": "m", "choices": [{"message": {"content": "Hi"}, "finish_reason": "length"}]}
    events = await collect(Network(httpx.Response(200, json=body)), "Hello")
    assert spoken(events) == [Text(text="Hi"), Finish(reason=FinishReason.LENGTH)]


@pytest.mark.parametrize("label", ["text/plain", "application/octet-stream", ""])
async def test_a_stream_under_another_label_is_read(collect, event_stream, chunk, label):
    answer = event_stream(chunk(content="Hi"), chunk("stop"), "[DONE]")
    answer.headers["content-type"] = label
    assert spoken(await collect(Network(answer), "Hello")) == [Text(text="Hi"), Finish()]


@pytest.mark.parametrize(
    "content", [b"", b"<!DOCTYPE html><title>Sign in</title>", b'{"choices": [{"mess', b"Hello there"]
)
async def test_a_body_that_is_no_answer_is_malformed(collect, content):
    answer = httpx.Response(
        200, content=content, headers={"content-type": "text/html", "x-request-id": "r-1"}
    )
    with pytest.raises(MalformedResponseError) as caught:
        await collect(Network(answer), "Hello")
    assert (caught.value.status, caught.value.request_id) == (200, "r-1")


async def test_an_empty_stream_is_a_cut(collect, event_stream):
    with pytest.raises(StreamCutError):
        await collect(Network(event_stream()), "Hello")


async def test_an_error_answer_is_typed_and_free_of_the_token(new_session, new_request):
    from plugmux.credentials import Credential
    from plugmux_hf_inference import plugin

    answer = httpx.Response(401, json={"error": "bad token secret-token-9"})
    origin = "https://router.huggingface.co"
    credential = Credential.bearer("secret-token-9", origins=[origin])
    session = new_session(Network(answer), credential=credential)
    with pytest.raises(AuthenticationError) as caught:
        async for _ in plugin.create_stream(new_request("Hello"), session):
            pass
    assert "secret-token-9" not in f"{caught.value} {caught.value.body}"


async def test_a_refusal_at_ones_own_server_says_whose_token_is_missing(collect):
    network = Network(httpx.Response(401, json={"error": {"message": "no key"}}))
    with pytest.raises(AuthenticationError) as caught:
        await collect(network, "Hello", settings=OWN)
    assert "HF_TOKEN is not sent there" in caught.value.remedy


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (402, "Insufficient Balance"),
        (403, "This method does not have sufficient permissions"),
        (429, "Please log in or use a token"),
        (400, {"message": "no such model", "code": "model_not_supported"}),
    ],
)
@pytest.mark.parametrize("inside", [False, True])
async def test_at_ones_own_server_nobody_is_sent_to_hugging_faces_pages(
    collect, event_stream, status, said, inside
):
    error = said if isinstance(said, dict) else {"message": said}
    answer = httpx.Response(status, json={"error": error})
    if inside:
        answer = event_stream({"error": {**error, "status": status}})
    with pytest.raises(ProviderError) as caught:
        await collect(Network(answer), "Hello", settings=OWN)
    assert (caught.value.status, caught.value.remedy) == (status, "")


async def test_a_refusal_inside_a_stream_of_ones_own_server_says_whose_token_is_missing(
    collect, event_stream
):
    network = Network(event_stream({"error": {"message": "no key", "code": 401}}))
    with pytest.raises(AuthenticationError) as caught:
        await collect(network, "Hello", settings=OWN)
    assert "HF_TOKEN is not sent there" in caught.value.remedy


async def test_a_base_url_that_is_the_router_keeps_hugging_faces_remedies(collect):
    network = Network(httpx.Response(402, json={"error": "no credit"}))
    settings = {"base_url": "https://router.huggingface.co/together/v1"}
    with pytest.raises(ProviderError) as caught:
        await collect(network, "Hello", settings=settings)
    assert "billing" in caught.value.remedy


async def test_a_strict_server_is_asked_again_without_what_it_does_not_take(collect, event_stream, chunk):
    unknown = [("body", "stream_options"), ("body", "seed")]
    refusals = [{"loc": place, "msg": "Extra inputs are not permitted"} for place in unknown]
    refused = [httpx.Response(422, json={"detail": detail}) for detail in (refusals, refusals[1:])]
    network = Network(*refused, event_stream(chunk(content="Hi"), chunk("stop")))
    events = await collect(network, "Hello", seed=1, settings=OWN)
    assert Text(text="Hi") in events
    assert noticed(events) == [("option-ignored", "seed")]
    assert network.body().keys() == {"model", "messages", "stream"}


async def test_a_refused_field_is_left_out_and_the_request_sent_again(collect, event_stream, chunk):
    refusal = httpx.Response(400, json={"error": "unknown field stream_options"})
    network = Network(refusal, event_stream(chunk(content="Hi"), chunk("stop")))
    assert spoken(await collect(network, "Hello")) == [Text(text="Hi"), Finish()]
    assert "stream_options" not in network.body()


def noticed(events):
    return [(event.code, event.option) for event in events if isinstance(event, Notice)]


async def test_what_was_to_be_said_of_a_refused_request_is_said_of_the_mended_one(
    collect, event_stream, chunk
):
    refusal = httpx.Response(400, json={"error": "unknown field stream_options"})
    network = Network(refusal, event_stream(chunk(content="Hi"), chunk("stop")))
    events = await collect(network, "Hello", web_search=True)
    assert noticed(events) == [("option-ignored", "web_search")]


async def test_of_a_mended_text_the_road_and_every_change_are_said_once(collect, event_stream):
    unused = "The following `model_kwargs` are not used by the model: ['stop']"
    too_long = httpx.Response(422, json={"error": TOO_LONG, "error_type": "validation"})
    refusal = httpx.Response(400, json={"error": unused})
    network = Network(refusal, too_long, token_stream(event_stream, "ok"))
    events = await collect(network, "Hello", model=RAW, max_tokens=50, stop="END", web_search=True)
    assert noticed(events) == [
        ("road", None),
        ("option-ignored", "web_search"),
        ("option-ignored", "stop"),
        ("option-changed", "max_tokens"),
    ]


async def test_a_request_is_mended_twice_at_most(collect):
    said = f"stream_options, `stream` is not supported. {TOO_LONG}"
    network = Network(httpx.Response(400, json={"error": said}))
    with pytest.raises(InvalidRequestError):
        await collect(network, "Hello", max_tokens=50)
    assert len(network.requests) <= 3


async def test_an_error_after_content_is_never_sent_again(collect, event_stream, chunk):
    error = {"error": TOO_LONG, "error_type": "validation"}
    network = Network(event_stream(chunk(content="Hi"), error))
    with pytest.raises(ContextLengthError):
        await collect(network, "Hello", max_tokens=50)
    assert len(network.requests) == 1


async def test_a_length_refused_inside_a_200_stream_is_lowered_once(collect, event_stream):
    refused = event_stream({"error": TOO_LONG, "error_type": "validation"})
    network = Network(refused, token_stream(event_stream, "ok"))
    events = spoken(await collect(network, "Hello", model=RAW, max_tokens=50))
    assert network.body()["parameters"]["max_new_tokens"] == 10
    assert [event.option for event in events if isinstance(event, Notice)] == [None, "max_tokens"]


async def test_an_error_answer_that_cannot_be_mended_is_raised(collect):
    network = Network(httpx.Response(429, json={"error": "busy"}))
    with pytest.raises(RateLimitError):
        await collect(network, "Hello")
    assert len(network.requests) == 1


async def test_a_text_model_gets_one_flat_prompt(collect, event_stream):
    network = Network(token_stream(event_stream, "Hi", "!"))
    events = spoken(await collect(network, "Hello", model=RAW, max_tokens=5))
    assert str(network.requests[0].url) == "https://router.huggingface.co/hf-inference/models/org/raw"
    assert network.body()["inputs"] == "User: Hello\nAssistant:"
    assert [event for event in events if not isinstance(event, Notice)] == [
        Text(text="Hi"),
        Text(text="!"),
        Finish(),
    ]


async def test_why_the_text_road_was_taken_is_said(collect, event_stream):
    events = await collect(Network(token_stream(event_stream, "Hi")), "Hello", model=RAW)
    road = next(event for event in events if isinstance(event, Notice))
    assert road.code == "road"
    assert "hf-inference serves org/raw for text generation" in road.message


async def test_the_models_own_template_makes_the_prompt(collect, event_stream):
    template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{{ eos_token }}{% endfor %}"
    config = {"tokenizer_config": {"chat_template": template, "eos_token": {"content": "</s>"}}}
    sent = []

    def answer(request: httpx.Request) -> httpx.Response:
        if "/api/models/org/raw" in str(request.url):
            return httpx.Response(200, json={"id": "org/raw", "config": config})
        sent.append(json.loads(request.content))
        return token_stream(event_stream, "Hi")

    await collect(answer, "Hello", model=RAW)
    assert sent[0]["inputs"] == "<user>Hello</s>"


async def test_an_extension_formats_the_prompt_of_a_strangers_model(new_session, new_request, event_stream):
    from plugmux_hf_inference import plugin

    network = Network(token_stream(event_stream, "Hi"))
    session = new_session(network)
    session.prompt_formats = lambda model, messages, continue_final: f"<<{messages[0].text}>>"
    async for _ in plugin.create_stream(new_request("Hello", model=RAW), session):
        pass
    assert network.body()["inputs"] == "<<Hello>>"


async def test_what_the_hub_says_of_a_model_is_asked_once(collect, event_stream):
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            asked.append(request.url.path)
            return httpx.Response(200, json={"id": "org/raw"})
        return token_stream(event_stream, "Hi")

    for _ in range(2):
        await collect(answer, "Hello", model=RAW)
    assert asked == ["/api/models/org/raw"]


async def test_the_hub_is_never_told_the_path_of_a_model_on_disk(collect, event_stream):
    def answer(request: httpx.Request) -> httpx.Response:
        assert "huggingface.co" not in request.url.host
        if request.method == "GET":
            return httpx.Response(404)
        return event_stream({"model": "m", "choices": [{"text": "Hi", "finish_reason": "stop"}]}, "[DONE]")

    model = Model(id="/srv/models/secret-model")
    await collect(answer, "Hello", model=model, task=Task.TEXT_GENERATION, settings=OWN)


async def test_a_text_answer_is_gone_on_with(collect, event_stream):
    network = Network(token_stream(event_stream, " 3"))
    messages = [{"role": "user", "content": "Count."}, {"role": "assistant", "content": "1, 2,"}]
    await collect(network, messages, model=RAW, action="continue")
    assert network.body()["inputs"] == "User: Count.\nAssistant: 1, 2,"


async def test_a_single_text_is_gone_on_with_as_it_is(collect, event_stream):
    network = Network(token_stream(event_stream, " there was"))
    events = await collect(network, "Once upon a time", model=RAW, action="continue")
    assert network.body()["inputs"] == "Once upon a time"
    assert [event.code for event in events if isinstance(event, Notice)] == ["road"]


async def test_a_conversation_that_ends_with_the_user_is_not_gone_on_with(collect, event_stream):
    network = Network(token_stream(event_stream, "Hi"))
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
    events = await collect(network, messages, model=RAW, action="continue")
    assert ("option-ignored", "action") in [
        (event.code, event.option) for event in events if isinstance(event, Notice)
    ]


async def test_a_prompt_given_back_is_cut_off_where_the_server_knows_no_better(collect):
    refusal = {
        "error": "The following `model_kwargs` are not used by the model: ['return_full_text', 'details']"
    }
    answer = [{"generated_text": "User: Hello\nAssistant: Hi"}]
    network = Network(httpx.Response(400, json=refusal), httpx.Response(200, json=answer))
    events = await collect(network, "Hello", model=RAW)
    assert Text(text=" Hi") in events


async def test_a_text_model_elsewhere_goes_by_its_text_completions(collect, event_stream):
    model = Model(
        id="org/raw",
        remote_id="their-id",
        upstream="novita",
        tasks=(Task.TEXT_GENERATION,),
        extra={"road": "completions", "hub_id": "org/raw"},
    )
    body = {"model": "m", "choices": [{"text": "Hi", "finish_reason": "stop"}]}
    network = Network(event_stream(body, "[DONE]"))
    events = await collect(network, "Hello", model=model, max_tokens=5)
    assert str(network.requests[0].url) == "https://router.huggingface.co/novita/v3/openai/completions"
    assert network.body() == {
        "model": "their-id",
        "prompt": "User: Hello\nAssistant:",
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 5,
    }
    assert Text(text="Hi") in events


@pytest.mark.parametrize(
    ("info", "path"),
    [({"max_total_tokens": 4096}, "/generate_stream"), (None, "/v1/completions"), ({}, "/v1/completions")],
)
async def test_text_generation_at_ones_own_server_goes_by_what_it_speaks(collect, event_stream, info, path):
    paths = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/info":
            return httpx.Response(200, json=info) if info is not None else httpx.Response(404)
        if request.method == "GET":
            return httpx.Response(404)
        paths.append(request.url.path)
        return (
            event_stream({"token": {"text": "Hi"}, "generated_text": "Hi"})
            if info
            else event_stream({"model": "m", "choices": [{"text": "Hi", "finish_reason": "stop"}]}, "[DONE]")
        )

    events = await collect(answer, "Hello", task=Task.TEXT_GENERATION, settings=OWN)
    assert paths == [path]
    assert Text(text="Hi") in events


async def test_a_chat_model_asked_for_text_generation_at_the_router_chats(collect, event_stream, chunk):
    network = Network(event_stream(chunk(content="Hi"), chunk("stop")))
    await collect(network, "Hello", task=Task.TEXT_GENERATION)
    assert network.requests[0].url.path == "/v1/chat/completions"


def drawing(upstream):
    tasks = (Task.TEXT_TO_IMAGE,)
    return Model(id="org/flux", remote_id="flux-id", upstream=upstream, tasks=tasks, extra={"road": "image"})


async def test_a_picture_comes_as_bytes_from_hf_inference(collect):
    network = Network(httpx.Response(200, content=PNG, headers={"content-type": "image/jpeg"}))
    extra = {"parameters": {"scheduler": "Euler"}}
    given = {"width": 64, "voice": "deep", "extra_body": extra}
    events = await collect(network, "a fox", model=drawing("hf-inference"), **given)
    media = next(event for event in events if isinstance(event, Media))
    assert (media.data, media.mime_type, media.prompt) == (PNG, "image/png", "a fox")
    assert network.requests[0].url.path == "/hf-inference/models/flux-id"
    assert network.body() == {"inputs": "a fox", "parameters": {"width": 64, "scheduler": "Euler"}}
    assert [event.option for event in events if isinstance(event, Notice)] == ["voice"]
    assert events[-1] == Finish()


async def test_a_picture_comes_as_base64_from_together(collect):
    answer = {"data": [{"b64_json": base64.b64encode(PNG).decode()}]}
    network = Network(httpx.Response(200, json=answer))
    events = await collect(network, "a fox", model=drawing("together"), num_inference_steps=4)
    assert network.requests[0].url.path == "/together/v1/images/generations"
    assert network.body()["steps"] == 4
    assert any(isinstance(event, Media) for event in events)


async def test_a_system_prompt_that_no_picture_is_drawn_by_is_told(collect):
    network = Network(httpx.Response(200, content=PNG, headers={"content-type": "image/png"}))
    messages = [{"role": "system", "content": "be kind"}, {"role": "user", "content": "a fox"}]
    events = await collect(network, messages, model=drawing("hf-inference"))
    assert [event.option for event in events if isinstance(event, Notice)] == ["system"]


async def test_a_picture_of_ones_own_server_is_asked_there_and_nowhere_else(collect):
    answer = {"data": [{"b64_json": base64.b64encode(PNG).decode()}]}
    network = Network(httpx.Response(200, json=answer))
    model = Model(id="mine", tasks=(Task.TEXT_TO_IMAGE,))
    given = {"width": 64, "height": 32, "seed": 1, "extra_body": {"steps": 4}}
    events = await collect(network, "a fox", model=model, settings=OWN, **given)
    (asked,) = network.requests
    assert str(asked.url) == "http://127.0.0.1:8000/v1/images/generations"
    assert network.body() == {
        "model": "mine",
        "prompt": "a fox",
        "response_format": "b64_json",
        "size": "64x32",
        "steps": 4,
    }
    assert noticed(events) == [("option-ignored", "seed")]
    assert next(event for event in events if isinstance(event, Media)).data == PNG


async def test_a_picture_refused_at_ones_own_server_says_whose_token_is_missing(collect):
    network = Network(httpx.Response(401, json={"error": "no key"}))
    with pytest.raises(AuthenticationError) as caught:
        await collect(network, "a fox", model=drawing(None), settings=OWN)
    assert "HF_TOKEN is not sent there" in caught.value.remedy


async def test_a_picture_that_does_not_come_is_an_error(collect):
    with pytest.raises(MalformedResponseError):
        await collect(Network(httpx.Response(200, json={"data": []})), "a fox", model=drawing("together"))


@pytest.mark.parametrize("task", [Task.TEXT_TO_SPEECH, Task.TEXT_TO_VIDEO, Task.AUTOMATIC_SPEECH_RECOGNITION])
async def test_what_has_no_road_is_refused_and_not_chatted_about(collect, task):
    network = Network(httpx.Response(500))
    with pytest.raises(InvalidRequestError, match=f"no {task.value}"):
        await collect(network, model=Model(id="mine", tasks=(task,)), task=task, settings=OWN)
    assert network.requests == []


async def test_a_template_that_refuses_the_conversation_is_a_refused_request(collect):
    template = "{{ raise_exception('never') }}"

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.method == "GET"
        return httpx.Response(
            200, json={"id": "org/raw", "config": {"tokenizer_config": {"chat_template": template}}}
        )

    with pytest.raises(InvalidRequestError, match="never"):
        await collect(answer, "Hello", model=RAW)
