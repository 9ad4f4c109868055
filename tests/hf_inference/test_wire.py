"""What a chat request becomes on the wire, and how a refused one is mended."""

from __future__ import annotations

import json

import pytest

from plugmux.errors import ContextLengthError, InvalidRequestError
from plugmux.model import Capability, Model
from plugmux_hf_inference._wire import chat_sending, mend

PNG = b"\x89PNG\r\n\x1a\n"


def test_only_what_was_given_is_sent(new_request):
    body = chat_sending(new_request("Hello")).body
    assert body == {
        "model": "org/model",
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_the_model_stands_first_in_the_body(new_request):
    model = Model(id="org/model", remote_id="org/model:together", upstream="together")
    body = chat_sending(new_request(model=model, seed=1)).body
    assert json.dumps(body).startswith('{"model": "org/model:together"')


def test_options_go_by_openais_names(new_request):
    tools = [{"type": "function", "function": {"name": "look"}}]
    given = {
        "max_tokens": 5,
        "temperature": 0.0,
        "top_p": 0.5,
        "seed": 0,
        "tool_choice": "auto",
        "response_format": {"type": "json_object"},
        "reasoning_effort": "low",
    }
    sending = chat_sending(new_request(**given, stop="END", tools=tools))
    assert {name: sending.body[name] for name in given} == given
    assert (sending.body["stop"], sending.body["tools"]) == (["END"], tools)
    assert sending.notices == ()


def test_the_callers_own_fields_and_headers_are_merged(new_request):
    sending = chat_sending(new_request(extra_body={"top_k": 3, "stream": False}, extra_headers={"X-A": "b"}))
    assert (sending.body["top_k"], sending.body["stream"]) == (3, False)
    assert sending.headers == {"X-A": "b"}


def test_an_option_that_chat_cannot_take_is_named(new_request):
    notices = chat_sending(new_request(web_search=True, width=64)).notices
    assert [(notice.code, notice.option) for notice in notices] == [
        ("option-ignored", "web_search"),
        ("option-ignored", "width"),
    ]


def test_an_image_joins_the_last_user_message(new_request):
    messages = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]
    messages += [{"role": "user", "content": "three"}]
    from plugmux.attachments import attachment_from

    picture = attachment_from(PNG, field="image")
    sent = chat_sending(new_request(messages, image=picture)).body["messages"]
    assert sent[0]["content"] == "one"
    assert sent[2]["content"] == [
        {"type": "text", "text": "three"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
    ]


def test_an_image_by_address_is_sent_as_its_address(new_request):
    from plugmux.attachments import attachment_from

    parts = [{"type": "text", "text": "what?"}]
    picture = attachment_from("https://a.example/b.png", field="image")
    sent = chat_sending(new_request([{"role": "user", "content": parts}], image=picture)).body["messages"]
    assert sent[0]["content"][1]["image_url"] == {"url": "https://a.example/b.png"}


def test_tool_results_and_calls_are_sent_as_they_are(new_request):
    call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "look"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "seen", "tool_call_id": "c"},
    ]
    assert chat_sending(new_request(messages)).body["messages"] == messages


BEGUN = [{"role": "user", "content": "count"}, {"role": "assistant", "content": "1, 2,"}]


def test_vllm_is_told_to_go_on(new_request):
    model = Model(id="m", capabilities={Capability.PREFILL: True}, extra={"server": "vllm"})
    sending = chat_sending(new_request(BEGUN, model=model, action="continue"))
    assert sending.body["continue_final_message"] is True
    assert sending.body["add_generation_prompt"] is False
    assert sending.notices == ()


def test_a_server_that_goes_on_by_itself_is_told_nothing(new_request):
    model = Model(id="m", capabilities={Capability.PREFILL: True})
    sending = chat_sending(new_request(BEGUN, model=model, action="continue"))
    assert "continue_final_message" not in sending.body
    assert sending.notices == ()


@pytest.mark.parametrize(
    ("messages", "capabilities", "code"),
    [
        (BEGUN, {}, "continue-uncertain"),
        (BEGUN, {Capability.PREFILL: False}, "option-ignored"),
        ("count", {Capability.PREFILL: True}, "option-ignored"),
    ],
)
def test_where_going_on_is_not_possible_or_not_known_it_is_said(new_request, messages, capabilities, code):
    model = Model(id="m", capabilities=capabilities)
    (notice,) = chat_sending(new_request(messages, model=model, action="continue")).notices
    assert (notice.code, notice.option) == (code, "action")


def refusal(message, kind=InvalidRequestError, **facts):
    return kind(message, **{"status": 400} | facts)


def test_a_server_without_stream_options_is_asked_without(new_request):
    sending = chat_sending(new_request())
    mended = mend(sending, refusal("Unrecognized request argument supplied: stream_options"))
    assert "stream_options" not in mended.body
    assert mended.body["stream"] is True
    assert mend(mended, refusal("Unrecognized request argument supplied: stream_options")) is None


def test_a_server_that_cannot_stream_is_asked_for_a_whole_answer(new_request):
    said = "Error in `stream`: `stream` is not supported for this model"
    mended = mend(chat_sending(new_request()), refusal(said))
    assert mended.body["stream"] is False
    assert "stream_options" not in mended.body


def test_an_answer_too_long_for_the_window_is_shortened_and_said(new_request):
    error = refusal("too long", ContextLengthError, limit=100, given=40, wanted=90)
    mended = mend(chat_sending(new_request(max_tokens=90)), error)
    assert mended.body["max_tokens"] == 60
    assert [(notice.code, notice.option) for notice in mended.notices] == [("option-changed", "max_tokens")]


@pytest.mark.parametrize(
    "numbers",
    [
        {},
        {"limit": 100},
        {"limit": 100, "given": 100, "wanted": 9},
        {"limit": 100, "given": 10, "wanted": 20},
    ],
)
def test_a_prompt_that_does_not_fit_is_not_mended_by_its_answer(new_request, numbers):
    error = refusal("too long", ContextLengthError, **numbers)
    assert mend(chat_sending(new_request(max_tokens=20)), error) is None


UNSUPPORTED = "Unsupported parameter: 'seed' is not supported with this model."


@pytest.mark.parametrize(
    "error",
    [
        refusal(UNSUPPORTED, param="seed"),
        refusal(UNSUPPORTED),
        refusal("Unknown parameter", param="seed"),
        refusal("seed: Extra inputs are not permitted", status=422),
        refusal("Unrecognized request argument supplied: seed"),
    ],
)
def test_an_option_that_a_server_does_not_take_is_left_out_and_said(new_request, error):
    sending = chat_sending(new_request(seed=1, temperature=0.5))
    mended = mend(sending, error)
    assert ("seed" in mended.body, mended.body["temperature"]) == (False, 0.5)
    assert [(notice.code, notice.option) for notice in mended.notices] == [("option-ignored", "seed")]
    assert mend(mended, error) is None


def test_all_options_that_a_server_names_are_left_out_at_once(new_request):
    said = "seed: Extra inputs are not permitted; top_p: Extra inputs are not permitted"
    mended = mend(chat_sending(new_request(seed=1, top_p=0.5, max_tokens=3)), refusal(said, status=422))
    assert mended.body.keys().isdisjoint({"seed", "top_p"})
    assert mended.body["max_tokens"] == 3


@pytest.mark.parametrize(
    "error",
    [
        refusal("temperature must be between 0 and 2", param="temperature"),
        refusal("'tools' is not supported", param="tools"),
        refusal("Unsupported content beside the seed", param="messages"),
        refusal("response_format: Extra inputs are not permitted"),
        refusal("This upstream is not supported"),
    ],
)
def test_what_a_request_is_about_or_says_wrongly_is_not_left_out(new_request, error):
    asked = new_request(seed=1, temperature=3, tools=[{}], response_format={"type": "json_object"})
    assert mend(chat_sending(asked), error) is None


def test_the_newer_name_of_max_tokens_is_used_where_it_is_asked_for(new_request):
    said = "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead."
    mended = mend(chat_sending(new_request(max_tokens=90)), refusal(said, param="max_tokens"))
    assert "max_tokens" not in mended.body
    assert (mended.body["max_completion_tokens"], mended.notices) == (90, ())
    error = refusal("too long", ContextLengthError, limit=100, given=40, wanted=90)
    assert mend(mended, error).body["max_completion_tokens"] == 60


@pytest.mark.parametrize("status", [401, 404, 429, 500])
def test_only_a_refused_request_is_mended(new_request, status):
    assert mend(chat_sending(new_request()), refusal("stream_options", status=status)) is None
