"""Raw text generation: TGI's request and its answers in all spellings."""

from __future__ import annotations

import json

import pytest

from plugmux.errors import (
    ContextLengthError,
    InvalidRequestError,
    MalformedResponseError,
    ServerError,
    StreamCutError,
)
from plugmux.events import Finish, FinishReason, Notice, ServedBy, Text, Usage
from plugmux_hf_inference._textgen import TextDecoder, mend, text_sending

TOO_LONG = (
    "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 1024. "
    "Given: 17 `inputs` tokens and 10000 `max_new_tokens`"
)
UNUSED = "The following `model_kwargs` are not used by the model: ['details', 'stop'] (note: typos …)"


def token(text, *, special=False, **last):
    return {"token": {"id": 1, "text": text, "logprob": None, "special": special}, **last}


def decode(*bodies, **facts):
    decoder = TextDecoder(**facts)
    events = [event for body in bodies for event in decoder.feed(json.dumps(body).encode())]
    return [event for event in [*events, *decoder.end()] if not isinstance(event, ServedBy)]


def whole(body, **facts):
    events = TextDecoder(**facts).whole(body if isinstance(body, bytes) else json.dumps(body).encode())
    return [event for event in events if not isinstance(event, ServedBy)]


def finish(word):
    return Finish(reason=FinishReason(word))


def test_the_callers_own_parameters_join_ours_and_win(new_request):
    extra = {"parameters": {"top_k": 50, "seed": 2}, "options": {"use_cache": False}}
    asked = text_sending(new_request(max_tokens=20, seed=1, extra_body=extra), "Hello")
    assert asked.body == {
        "inputs": "Hello",
        "parameters": {
            "details": True,
            "return_full_text": False,
            "max_new_tokens": 20,
            "seed": 2,
            "top_k": 50,
        },
        "stream": True,
        "options": {"use_cache": False},
    }


def test_a_stream_is_its_tokens(chunk):
    last = token(
        "b", generated_text="ab", details={"finish_reason": "length", "generated_tokens": 2, "seed": None}
    )
    assert decode(token("a"), last) == [
        Text(text="a"),
        Text(text="b"),
        Usage(completion_tokens=2),
        finish("length"),
    ]


def test_the_prompts_length_is_counted_where_it_is_told():
    details = {"finish_reason": "eos_token", "generated_tokens": 2, "input_length": 5}
    events = decode(token("a"), token("</s>", special=True, generated_text="a", details=details))
    assert Usage(prompt_tokens=5, completion_tokens=2, total_tokens=7) in events


def test_special_tokens_are_not_shown():
    events = decode(token("a"), token("<|eot|>", special=True, generated_text="a", details=None))
    assert events == [Text(text="a"), finish("stop")]


def test_without_details_an_ordinary_last_token_means_the_length_was_reached():
    assert decode(token("a", generated_text="a", details=None)) == [Text(text="a"), finish("length")]


@pytest.mark.parametrize(
    ("word", "reason"),
    [("length", "length"), ("eos_token", "stop"), ("stop_sequence", "stop"), ("new", "stop")],
)
def test_why_it_ended_is_told_by_the_details(word, reason):
    last = token("a", generated_text="a", details={"finish_reason": word})
    assert decode(last)[-1] == finish(reason)


def test_a_done_at_the_end_is_taken():
    decoder = TextDecoder()
    decoder.feed(json.dumps(token("a", generated_text="a", details=None)).encode())
    assert decoder.feed(b"[DONE]") == []
    assert decoder.done


def test_a_stream_that_ends_in_the_middle_is_a_cut():
    with pytest.raises(StreamCutError, match="broke off"):
        decode(token("a"))


def test_an_empty_stream_is_a_cut():
    with pytest.raises(StreamCutError, match="before it began"):
        decode()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": TOO_LONG, "error_type": "validation"}, ContextLengthError),
        ({"error": "Request failed during generation", "error_type": "generation"}, ServerError),
        ({"error": "Incomplete generation", "error_type": "incomplete_generation"}, ServerError),
        ({"nothing": "known"}, MalformedResponseError),
    ],
)
def test_an_error_inside_the_stream_is_raised(body, kind):
    with pytest.raises(kind):
        decode(token("a"), body)


def test_malformed_chunks_are_skipped_up_to_three():
    decoder = TextDecoder()
    for _ in range(3):
        (notice,) = decoder.feed(b'{"token": {"te')
        assert notice.code == "malformed-chunk"
    with pytest.raises(StreamCutError):
        decoder.feed(b"x")


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_whole_answer_comes_in_a_list_or_bare(wrapped):
    answer = {"generated_text": "ab", "details": {"finish_reason": "length", "generated_tokens": 2}}
    assert whole([answer] if wrapped else answer) == [
        Text(text="ab"),
        Usage(completion_tokens=2),
        finish("length"),
    ]


def test_a_whole_answer_without_details_is_complete():
    assert whole([{"generated_text": "ab"}]) == [Text(text="ab"), finish("stop")]


def test_a_whole_answer_without_text_is_complete_and_empty():
    assert whole([{"generated_text": ""}]) == [finish("stop")]


def test_a_prompt_that_is_given_back_is_cut_off():
    assert whole([{"generated_text": "Hello world"}], sent={"inputs": "Hello"})[0] == Text(text=" world")


def test_an_answer_in_openais_shape_is_read_as_one():
    choice = {"index": 0, "message": {"content": "4"}, "finish_reason": "stop"}
    assert whole({"model": "m", "choices": [choice]}) == [Text(text="4"), finish("stop")]


def test_a_stream_in_openais_shape_is_read_as_one(chunk):
    assert decode(chunk(content="4"), chunk("length")) == [Text(text="4"), finish("length")]


@pytest.mark.parametrize("body", [b"", b"[]", b"[{}]", b"{}", b"<html>", b'[{"generated_text": "a'])
def test_a_whole_answer_that_is_none_is_malformed(body):
    with pytest.raises(MalformedResponseError):
        whole(body)


def test_a_whole_answer_that_is_an_error_is_raised():
    with pytest.raises(ContextLengthError):
        whole({"error": TOO_LONG, "error_type": "validation"})


def test_only_what_was_given_is_sent(new_request):
    assert text_sending(new_request(), "Once").body == {
        "inputs": "Once",
        "parameters": {"details": True, "return_full_text": False},
        "stream": True,
    }


def test_options_go_by_tgis_names(new_request):
    sending = text_sending(new_request(max_tokens=5, temperature=0.5, top_p=0.9, stop="END", seed=1), "Once")
    assert sending.body["parameters"] == {
        "details": True,
        "return_full_text": False,
        "max_new_tokens": 5,
        "temperature": 0.5,
        "do_sample": True,
        "top_p": 0.9,
        "stop": ["END"],
        "seed": 1,
    }


def test_a_temperature_of_zero_means_no_sampling(new_request):
    parameters = text_sending(new_request(temperature=0, top_p=1), "Once").body["parameters"]
    assert parameters["do_sample"] is False
    assert "temperature" not in parameters
    assert "top_p" not in parameters


def test_tools_cannot_be_sent_with_a_flat_prompt(new_request):
    (notice,) = text_sending(new_request(tools=[{"type": "function"}]), "Once").notices
    assert (notice.code, notice.option) == ("option-ignored", "tools")


def refusal(message, kind=InvalidRequestError, **facts):
    return kind(message, **{"status": 400} | facts)


def test_parameters_that_the_model_does_not_use_are_dropped_and_said(new_request):
    sending = text_sending(new_request(stop="END", max_tokens=5), "Once")
    mended = mend(sending, refusal(UNUSED))
    assert mended.body["parameters"] == {"return_full_text": False, "max_new_tokens": 5}
    assert mended.notices == (
        Notice(code="option-ignored", option="stop", message="the model does not use stop"),
    )
    assert mend(mended, refusal(UNUSED)) is None


def test_a_model_that_cannot_stream_is_asked_for_a_whole_answer(new_request):
    mended = mend(text_sending(new_request(), "Once"), refusal("`stream` is not supported for this model"))
    assert mended.body["stream"] is False


def test_an_answer_too_long_for_a_small_window_is_shortened_by_the_servers_word(new_request):
    error = refusal(TOO_LONG, ContextLengthError, status=422, limit=1024, given=17, wanted=10000)
    mended = mend(text_sending(new_request(max_tokens=10000), "Once"), error)
    assert mended.body["parameters"]["max_new_tokens"] == 1007
    assert mended.notices[0].option == "max_tokens"


def test_a_default_length_that_does_not_fit_is_lowered_too(new_request):
    error = refusal(TOO_LONG, ContextLengthError, status=422, limit=1024, given=1000, wanted=100)
    assert mend(text_sending(new_request(), "Once"), error).body["parameters"]["max_new_tokens"] == 24


def test_other_refusals_are_not_mended(new_request):
    assert mend(text_sending(new_request(), "Once"), refusal("no")) is None
    assert mend(text_sending(new_request(), "Once"), refusal(UNUSED, status=500)) is None
