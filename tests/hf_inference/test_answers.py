"""From the bytes of a chat answer to events: every trap that services have been seen to set."""

from __future__ import annotations

import json

import pytest

from plugmux.errors import (
    ContextLengthError,
    MalformedResponseError,
    RateLimitError,
    ServerError,
    StreamCutError,
)
from plugmux.events import (
    Finish,
    FinishReason,
    Notice,
    Progress,
    Reasoning,
    ServedBy,
    Source,
    Sources,
    Text,
    ToolCall,
    Usage,
)
from plugmux.fold import Fold
from plugmux_hf_inference._answers import ChatDecoder, finish_reason_of

DONE = "[DONE]"
STOP = Finish(reason=FinishReason.STOP)


def decode(*bodies, headers=None):
    decoder = ChatDecoder(headers)
    events = []
    for body in bodies:
        events += decoder.feed((body if isinstance(body, str) else json.dumps(body)).encode())
    return events + decoder.end()


def whole(body, headers=None):
    return ChatDecoder(headers).whole((body if isinstance(body, str) else json.dumps(body)).encode())


def spoken(events):
    return [event for event in events if not isinstance(event, ServedBy)]


def completion(reason="stop", **message):
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": reason}
    return {"object": "chat.completion", "model": "org/model", "choices": [choice]}


def test_a_plain_stream_is_text_and_a_finish(chunk):
    events = decode(chunk(role="assistant"), chunk(content="Hel"), chunk(content="lo"), chunk("stop"), DONE)
    assert spoken(events) == [Text(text="Hel"), Text(text="lo"), STOP]


def test_who_answers_is_said_once_before_the_answer(chunk):
    headers = {"x-inference-provider": "together", "x-request-id": "r-1"}
    events = decode(chunk(content="a"), chunk(content="b"), chunk("stop"), headers=headers)
    assert events[0] == ServedBy(model="org/model", upstream="together", request_id="r-1")
    assert sum(isinstance(event, ServedBy) for event in events) == 1


@pytest.mark.parametrize("model", [None, "", 7])
def test_who_answers_is_said_even_if_the_chunks_name_no_model(chunk, model):
    headers = {"x-inference-provider": "groq", "x-request-id": "r-1"}
    bodies = [body | {"model": model} for body in (chunk(content="a"), chunk("stop"))]
    assert decode(*bodies, headers=headers)[0] == ServedBy(upstream="groq", request_id="r-1")


def test_a_first_chunk_without_choices_leaves_the_model_to_the_next(chunk):
    before = {"model": "", "choices": []}
    assert decode(before, chunk(content="a"), chunk("stop"))[0] == ServedBy(model="org/model")


def test_a_stream_without_done_is_complete_if_it_said_why_it_ended(chunk):
    assert decode(chunk(content="a"), chunk("length"))[-1] == Finish(reason=FinishReason.LENGTH)


def test_a_stream_with_done_and_no_reason_is_complete(chunk):
    assert decode(chunk(content="a"), DONE)[-1] == STOP


def test_a_stream_that_ends_without_a_reason_is_a_cut(chunk):
    with pytest.raises(StreamCutError, match="broke off"):
        decode(chunk(content="a"))


def test_a_stream_of_nothing_but_done_is_a_cut():
    with pytest.raises(StreamCutError, match="before it began"):
        decode(DONE)


def test_a_stream_without_anything_is_a_cut():
    with pytest.raises(StreamCutError, match="before it began"):
        decode()


def test_usage_in_a_chunk_without_choices_is_taken(chunk):
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    events = decode(chunk(content="a"), chunk("stop"), {"choices": [], "usage": usage}, DONE)
    assert spoken(events)[1:] == [Usage(prompt_tokens=1, completion_tokens=2, total_tokens=3), STOP]


def test_usage_beside_the_reason_is_taken(chunk):
    last = chunk("stop") | {"usage": {"prompt_tokens": 1, "completion_tokens": 2, "cached_tokens": 0}}
    assert Usage(prompt_tokens=1, completion_tokens=2) in decode(chunk(content="a"), last, DONE)


def test_usage_in_groqs_own_place_is_taken(chunk):
    last = chunk("stop") | {"x_groq": {"id": "r", "usage": {"total_tokens": 3}}}
    assert Usage(total_tokens=3) in decode(chunk(content="a"), last, DONE)


def test_of_growing_usage_only_the_last_is_given(chunk):
    first = chunk(content="a") | {"usage": {"completion_tokens": 1}}
    second = chunk(content="b") | {"usage": {"completion_tokens": 2}}
    usages = [event for event in decode(first, second, chunk("stop"), DONE) if isinstance(event, Usage)]
    assert usages == [Usage(completion_tokens=2)]


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_reasoning_in_a_field_of_its_own_is_told_apart(chunk, name):
    events = decode(chunk(**{name: "Hm"}), chunk(content="4"), chunk("stop"), DONE)
    assert spoken(events) == [Reasoning(text="Hm"), Text(text="4"), STOP]


def test_reasoning_of_null_is_nothing(chunk):
    events = decode(chunk(reasoning_content=None, reasoning=None, content="4"), chunk("stop"), DONE)
    assert spoken(events) == [Text(text="4"), STOP]


def test_thinking_tags_cut_over_chunks_are_told_apart(chunk):
    pieces = ["<th", "ink>\nH", "m\n</", "think>\n", "\n4"]
    events = decode(*(chunk(content=piece) for piece in pieces), chunk("stop"), DONE)
    assert spoken(events) == [Reasoning(text="H"), Reasoning(text="m"), Text(text="4"), STOP]


def test_what_was_held_back_for_a_tag_comes_at_the_end(chunk):
    assert spoken(decode(chunk(content="<thi"), chunk("stop"), DONE)) == [Text(text="<thi"), STOP]


def test_tool_calls_come_in_pieces_with_id_and_name_once(chunk):
    def call(**fields):
        return chunk(tool_calls=[{"index": 0, **fields}])

    events = decode(
        call(id="c1", type="function", function={"name": "look", "arguments": ""}),
        call(function={"arguments": '{"a"'}),
        call(id="c1", function={"name": "look", "arguments": ": 1}"}),
        chunk("tool_calls"),
        DONE,
    )
    assert spoken(events) == [
        ToolCall(index=0, id="c1", name="look", arguments=""),
        ToolCall(index=0, arguments='{"a"'),
        ToolCall(index=0, arguments=": 1}"),
        Finish(reason=FinishReason.TOOL_CALLS),
    ]


def test_tool_calls_of_several_indexes_are_kept_apart(chunk):
    calls = [
        {"index": 0, "id": "a", "function": {"name": "x"}},
        {"index": 1, "id": "b", "function": {"name": "y"}},
    ]
    events = spoken(decode(chunk(tool_calls=calls), chunk("tool_calls"), DONE))
    assert [(event.index, event.id, event.name) for event in events[:2]] == [(0, "a", "x"), (1, "b", "y")]


def call(index=None, id=None, name=None, arguments=""):
    """A piece of a tool call as services send it, with null for what they leave out."""
    return {"index": index, "id": id, "function": {"name": name, "arguments": arguments}}


def joined(events):
    """Each tool call as the caller sees it in the end: (id, name, arguments)."""
    fold = Fold()
    for event in events:
        fold.add(event)
    return [(one.id, one.name, one.arguments) for one in fold.completion().tool_calls]


FIRST, SECOND = ("c1", "f", '{"a":1}'), ("c2", "g", '{"b":2}')


@pytest.mark.parametrize("indexes", [(0, 0), (None, None), (0, 1), (1, 2), (5, None)])
def test_tool_calls_are_told_apart_however_they_are_numbered(chunk, indexes):
    pieces = [
        call(indexes[0], "c1", "f"),
        call(indexes[0], None, None, '{"a":1}'),
        call(indexes[1], "c2", "g", '{"b":'),
        call(indexes[1], None, None, "2}"),
    ]
    chunks = [chunk(tool_calls=[piece]) for piece in pieces]
    events = decode(*chunks, chunk("tool_calls"), DONE)
    assert joined(events) == [FIRST, SECOND]
    assert {event.index for event in events if isinstance(event, ToolCall)} == {0, 1}


@pytest.mark.parametrize("indexes", [(0, 0), (None, None), (0, 1)])
def test_whole_tool_calls_are_told_apart_however_they_are_numbered(indexes):
    calls = [call(indexes[0], *FIRST), call(indexes[1], *SECOND)]
    assert joined(whole(completion("tool_calls", content=None, tool_calls=calls))) == [FIRST, SECOND]


@pytest.mark.parametrize(
    "pieces",
    [
        (call(0, "c1", ""), call(0, None, "f", '{"a":1}')),
        (call(0, None, None), call(0, "c1", "f", '{"a":1}')),
        (call(0, None, "f"), call(0, "c1", None, '{"a":1}')),
        (call(0, "", "f", '{"a"'), call(0, "c1", "f", ":1}")),
        (call(0, "c1", "f", '{"a"'), call(0, "c1", "f", ":1}")),
        (call(0, "c1", "f", '{"a"'), call(0, "another", None, ":1}")),
    ],
)
def test_an_id_or_a_name_that_comes_late_or_again_is_the_calls(chunk, pieces):
    chunks = [chunk(tool_calls=[piece]) for piece in pieces]
    assert joined(decode(*chunks, chunk("tool_calls"), DONE)) == [FIRST]


def test_a_single_tool_call_that_is_no_list_is_taken(chunk):
    call = {"index": 0, "id": 0, "function": {"name": "look", "arguments": {"a": 1}}}
    events = spoken(decode(chunk(tool_calls=call), chunk("eos_token"), DONE))
    assert events == [
        ToolCall(index=0, id="0", name="look", arguments='{"a": 1}'),
        Finish(reason=FinishReason.TOOL_CALLS),
    ]


def test_tools_that_the_server_ran_are_progress_and_sources(chunk):
    found = {"results": [{"title": "T", "url": "https://a.example", "content": "C"}, {"title": "no address"}]}
    tool = {"type": "search", "arguments": '{"query": "q"}', "search_results": found}
    events = spoken(decode(chunk(executed_tools=[tool]), chunk(content="4"), chunk("stop"), DONE))
    assert events[:2] == [
        Progress(stage="search", message='{"query": "q"}'),
        Sources(sources=(Source(url="https://a.example", title="T", snippet="C"),)),
    ]


def test_another_choice_was_never_asked_for(chunk):
    second = chunk(content="other")
    second["choices"][0]["index"] = 1
    assert spoken(decode(chunk(content="mine"), second, chunk("stop"), DONE)) == [Text(text="mine"), STOP]


def test_in_old_tgis_chunks_the_index_counts_tokens():
    def old(index, reason=None, **delta):
        choice = {"index": index, "delta": delta, "finish_reason": reason}
        return {"object": "text_completion", "model": "m", "choices": [choice]}

    events = decode(old(1, content="a"), old(2, content="b"), old(3, "eos_token", content="c"))
    assert spoken(events) == [Text(text="a"), Text(text="b"), Text(text="c"), STOP]


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", "stop"),
        ("eos", "stop"),
        ("eos_token", "stop"),
        ("stop_sequence", "stop"),
        ("COMPLETE", "stop"),
        ("length", "length"),
        ("MAX_TOKENS", "length"),
        ("model_length", "length"),
        ("tool_calls", "tool_calls"),
        ("function_call", "tool_calls"),
        ("content_filter", "content_filter"),
        ("abort", "interrupted"),
    ],
)
def test_reasons_of_all_spellings_are_known(word, reason):
    assert finish_reason_of(word) is FinishReason(reason)


def test_an_empty_reason_is_none(chunk):
    events = decode(chunk("", content="a"), chunk("", content="b"), chunk("length"), DONE)
    assert spoken(events) == [Text(text="a"), Text(text="b"), Finish(reason=FinishReason.LENGTH)]


def test_an_unknown_reason_is_taken_as_stop_and_said(chunk):
    events = spoken(decode(chunk(content="a"), chunk("bored"), DONE))
    assert events[1].code == "unknown-finish-reason"
    assert events[2] == STOP


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": {"message": "slow down", "code": 429}}, RateLimitError),
        (
            {
                "error": "Input validation error: `inputs` must have less than 10 tokens. Given: 11",
                "error_type": "validation",
            },
            ContextLengthError,
        ),
        ({"error": "broken"}, ServerError),
        ({"object": "error", "message": "broken", "code": 500}, ServerError),
        ({"detail": "broken"}, ServerError),
    ],
)
@pytest.mark.parametrize("after", [True, False])
def test_an_error_inside_the_stream_is_raised_at_any_time(chunk, body, kind, after):
    bodies = [chunk(content="a"), body] if after else [body]
    with pytest.raises(kind):
        decode(*bodies)


def test_an_error_of_null_is_none(chunk):
    assert spoken(decode(chunk(content="a") | {"error": None}, chunk("stop")))[0] == Text(text="a")


def test_a_reason_of_error_is_an_error(chunk):
    with pytest.raises(ServerError):
        decode(chunk(content="a"), chunk("error"))


@pytest.mark.parametrize(
    "body", ['{"choices": [{"delta": {"content": "b', "nonsense", "[1, 2]", '"text"', "{]"]
)
def test_a_malformed_chunk_is_skipped_and_said(chunk, body):
    events = spoken(decode(chunk(content="a"), body, chunk(content="c"), chunk("stop"), DONE))
    assert [type(event) for event in events] == [Text, Notice, Text, Finish]
    assert events[1].code == "malformed-chunk"


def test_chunks_without_a_blank_line_between_them_are_told_apart(chunk):
    glued = "\n".join(json.dumps(one) for one in (chunk(content="a"), chunk(content="b"), chunk("stop")))
    assert spoken(decode(f"{glued}\n[DONE]")) == [Text(text="a"), Text(text="b"), STOP]


def test_a_chunk_with_broken_utf_8_is_malformed(chunk):
    decoder = ChatDecoder()
    assert decoder.feed(b'{"choices": [{"delta": {"content": "\xff\xfe"}}]}')[0].code == "malformed-chunk"


def test_the_fourth_malformed_chunk_is_a_cut(chunk):
    with pytest.raises(StreamCutError, match="malformed"):
        decode(chunk(content="a"), "x", "x", "x", "x")


@pytest.mark.parametrize("empty", ["", " ", "\n"])
def test_empty_events_are_nothing(chunk, empty):
    assert spoken(decode(*[empty] * 5, chunk(content="a"), empty, chunk("stop"))) == [Text(text="a"), STOP]


def test_extra_fields_and_odd_types_cost_nothing(chunk):
    odd = chunk(content="a") | {"usage": None, "x_groq": [], "sla_metrics": {}, "seed": 2**80, "model": 7}
    odd["choices"][0] |= {"logprobs": None, "stop_reason": 128009, "text": "a"}
    assert spoken(decode(odd, chunk("stop"), DONE)) == [Text(text="a"), STOP]


def test_content_in_parts_is_joined(chunk):
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}, {"type": "odd"}]
    assert spoken(decode(chunk(content=parts), chunk("stop")))[0] == Text(text="ab")


def test_a_refusal_is_an_answer(chunk):
    assert spoken(decode(chunk(refusal="I will not."), chunk("stop")))[0] == Text(text="I will not.")


def test_a_text_completions_chunks_are_read():
    def text(piece, reason=None):
        return {
            "object": "text_completion",
            "model": "m",
            "choices": [{"text": piece, "finish_reason": reason}],
        }

    assert spoken(decode(text("a"), text("b", "length"), DONE)) == [
        Text(text="a"),
        Text(text="b"),
        Finish(reason=FinishReason.LENGTH),
    ]


def test_a_whole_answer_is_reasoning_text_usage_and_finish():
    body = completion(content="4", reasoning_content="Hm") | {"usage": {"total_tokens": 3}}
    assert spoken(whole(body)) == [Reasoning(text="Hm"), Text(text="4"), Usage(total_tokens=3), STOP]


def test_a_whole_answers_thinking_tags_are_split():
    assert spoken(whole(completion(content="<think>\nHm\n</think>\n\n4"))) == [
        Reasoning(text="Hm"),
        Text(text="4"),
        STOP,
    ]


def test_a_whole_answer_without_a_reason_is_complete():
    assert spoken(whole(completion(reason=None, content="4"))) == [Text(text="4"), STOP]


def test_whole_tool_calls_are_numbered_by_their_place():
    calls = [
        {"id": "a", "function": {"name": "x", "arguments": "{}"}},
        {"id": "b", "function": {"name": "y"}},
    ]
    events = spoken(whole(completion("tool_calls", content=None, tool_calls=calls)))
    assert events == [
        ToolCall(index=0, id="a", name="x", arguments="{}"),
        ToolCall(index=1, id="b", name="y", arguments=""),
        Finish(reason=FinishReason.TOOL_CALLS),
    ]


def test_a_whole_answer_with_an_empty_list_of_tool_calls_has_none():
    assert spoken(whole(completion(content="4", tool_calls=[])))[-1] == STOP


def test_a_whole_answer_that_is_an_error_is_raised():
    with pytest.raises(RateLimitError):
        whole({"error": {"message": "slow down", "code": "429"}})


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("", "empty answer"),
        ("  \n", "empty answer"),
        ("<html>", "<html>"),
        ('{"choices": [{"mess', "expected a JSON answer"),
        ('{"choices": []}', "without choices"),
        ("{}", "without choices"),
        ("[]", "expected a JSON answer"),
    ],
)
def test_a_whole_answer_that_is_none_is_malformed(body, said):
    with pytest.raises(MalformedResponseError, match=said):
        whole(body)
