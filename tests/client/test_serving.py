"""What a caller of the client sees, with providers that play a script."""

import gc
import pickle
from contextlib import aclosing

import anyio
import pytest

from plugmux import (
    AllProvidersFailedError,
    Attempt,
    AuthenticationError,
    ConnectionFailedError,
    ContentFilterError,
    Conversation,
    ConversationState,
    Credential,
    Finish,
    InvalidInputError,
    InvalidRequestError,
    Limits,
    Model,
    ModelNotFoundError,
    NoRouteError,
    Notice,
    RateLimitError,
    Reset,
    ServedBy,
    ServerError,
    StreamCutError,
    Text,
    ToolCall,
    Usage,
    hookimpl,
)


async def events_of(client, model="org/model", messages="hi", **arguments):
    async with client.stream(model, messages, **arguments) as stream:
        return [event async for event in stream], stream.completion


async def read(stream, seen):
    async with aclosing(stream):
        async for item in stream:
            seen.append(item)


async def test_an_answer_comes_as_events_with_one_finish_at_the_end(client, scripted):
    events, completion = await events_of(client(a=scripted([Text(text="one "), Text(text="two"), Finish()])))
    assert events == [
        Attempt(number=1, provider="a", model="org/model"),
        Text(text="one "),
        Text(text="two"),
        Finish(),
    ]
    assert completion.text == "one two"
    assert completion.provider == "a"


async def test_the_next_provider_answers_when_the_first_refuses(client, scripted):
    a = scripted([InvalidRequestError("no", status=400)], latency=0.1)
    completion = await client(a=a, b=scripted(latency=0.2)).complete("org/model", "hi")
    assert completion.provider == "b"
    assert [(t.provider, t.outcome) for t in completion.trace.attempts] == [("a", "failed"), ("b", "served")]


async def test_a_broken_answer_is_taken_back_before_the_next_one_starts(client, scripted):
    a = scripted([Text(text="half")], latency=0.1)
    events, completion = await events_of(client(a=a, b=scripted(latency=0.2)))
    kinds = [type(event) for event in events]
    assert kinds == [Attempt, Text, Reset, Attempt, Text, Finish]
    assert completion.text == "hello"


async def test_a_cut_answer_is_never_reported_complete(client, scripted):
    with pytest.raises(AllProvidersFailedError) as caught:
        await client(a=scripted([Text(text="half")])).complete("org/model", "hi")
    assert isinstance(caught.value.__cause__, StreamCutError)


async def test_nothing_is_taken_back_when_nobody_is_left_to_say_it_anew(client, scripted):
    one = client(a=scripted([Text(text="half")]))
    stream = one.stream("org/model", "hi")
    seen = []
    with pytest.raises(AllProvidersFailedError):
        await read(stream, seen)
    assert [type(event) for event in seen] == [Attempt, Text]
    assert stream.completion.text == "half"
    assert stream.completion.finish_reason is None


async def test_a_complete_but_empty_answer_moves_on(client, scripted):
    a = scripted([Finish()], latency=0.1)
    assert (await client(a=a, b=scripted(latency=0.2)).complete("org/model", "hi")).provider == "b"


async def test_a_view_of_text_alone_ends_in_an_error_when_an_answer_breaks_off(client, scripted):
    a = scripted([Text(text="half")], latency=0.1)
    stream = client(a=a, b=scripted(latency=0.2)).stream("org/model", "hi")
    seen = []
    with pytest.raises(StreamCutError):
        await read(stream.text(), seen)
    assert seen == ["half"]


async def test_on_break_continue_goes_on_where_the_answer_broke_off(client, scripted):
    a = scripted([Text(text="one ")], latency=0.1)
    b = scripted([Text(text="two"), Finish()], latency=0.2, capabilities={"prefill": True})
    events, completion = await events_of(client(a=a, b=b), policy={"on_break": "continue"})
    assert completion.text == "one two"
    assert Reset not in map(type, events)
    request = b.requests[0]
    assert (request.messages[-1].role, request.messages[-1].content) == ("assistant", "one ")
    assert request.options.action == "continue"


async def test_a_fallback_that_rejects_the_prefill_answers_anew(client, scripted):
    a = scripted([Text(text="one ")], latency=0.1)
    refusal = [InvalidRequestError("prefill is not supported", status=400)]
    b = scripted(refusal, latency=0.2, capabilities={"prefill": True})
    events, completion = await events_of(client(a=a, b=b), policy={"on_break": "continue"})
    assert completion.text == "hello"
    assert [type(e) for e in events] == [Attempt, Text, Notice, Attempt, Reset, Attempt, Text, Finish]


async def test_on_break_error_raises_the_break_itself(client, scripted):
    a = scripted([Text(text="half"), ServerError("gone", status=500)])
    with pytest.raises(ServerError):
        await client(a=a, b=scripted()).complete(
            "org/model", "hi", policy={"on_break": "error", "order": ["a"]}
        )


async def test_a_content_filter_ends_the_routing_with_the_providers_reason(client, scripted):
    a, b = scripted([ContentFilterError("not that", status=400)], latency=0.1), scripted(latency=0.2)
    with pytest.raises(ContentFilterError, match="not that"):
        await client(a=a, b=b).complete("org/model", "hi")
    assert b.requests == []


async def test_a_wait_that_the_service_asks_for_is_kept_exactly(client, scripted, clock):
    a = scripted([RateLimitError("slow down", status=429, retry_after=2.0)])
    completion = await client(a=a).complete("org/model", "hi")
    assert clock.slept == [2.0]
    assert completion.trace.attempts[1].waited == 2.0


async def test_every_reason_stands_in_the_text_of_the_last_error(client, scripted):
    a, b = scripted([InvalidRequestError("bad a")]), scripted([InvalidRequestError("bad b")])
    with pytest.raises(AllProvidersFailedError, match=r"(?s)bad a.*bad b|bad b.*bad a") as caught:
        await client(a=a, b=b).complete("org/model", "hi")
    assert len(caught.value.attempts) == 2
    assert isinstance(pickle.loads(pickle.dumps(caught.value)), AllProvidersFailedError)


async def test_a_401_renews_the_credential_once_with_the_challenge(client, scripted):
    refusal = AuthenticationError("expired", status=401)
    a = scripted([refusal], auth="required")
    old = Credential.bearer("old-one", origins=["https://example.org"])
    new = Credential.bearer("new-one", origins=["https://example.org"])
    a.credentials = [old, new]
    async with client(a=a) as one:
        assert (await one.complete("org/model", "hi")).text == "hello"
    assert a.challenges == [None, refusal]
    assert [session.credential for session in a.sessions] == [old, new]


async def test_a_401_without_a_better_credential_moves_on(client, scripted):
    a = scripted([AuthenticationError("expired", status=401)], latency=0.1)
    a.credentials = [Credential.bearer("old-one", origins=["https://example.org"])]
    assert (await client(a=a, b=scripted(latency=0.2)).complete("org/model", "hi")).provider == "b"
    assert len(a.requests) == 1


async def test_a_model_that_is_gone_is_forgotten(client, scripted):
    a = scripted([ModelNotFoundError("gone", status=404)], latency=0.1)
    async with client(a=a, b=scripted(latency=0.2)) as one:
        await one.complete("org/model", "hi")
        assert {model.provider for model in await one.models()} == {"b"}


async def test_models_are_tried_in_the_order_of_wish(client, scripted):
    a = scripted([InvalidRequestError("no")], models=["org/first"])
    b = scripted(models=["org/second"])
    completion = await client(a=a, b=b).complete(["org/first", "org/second"], "hi")
    assert (completion.model, completion.provider) == ("org/second", "b")


async def test_an_unknown_name_among_several_is_passed_over(client, scripted):
    completion = await client(a=scripted()).complete(["org/nobody", "org/model"], "hi")
    assert completion.model == "org/model"


async def test_an_unknown_model_names_near_ones_and_what_each_provider_said(client, scripted):
    with pytest.raises(NoRouteError) as caught:
        await client(a=scripted()).complete("modell", "hi")
    assert caught.value.near == ("org/model",)
    assert caught.value.reasons == {"a": "does not serve it"}


async def test_the_reasons_stand_in_the_order_of_the_providers(client, scripted):
    class Slow(scripted):
        @hookimpl
        async def get_models(self, wanted):
            if wanted is not None:
                await anyio.lowlevel.checkpoint()
                await anyio.lowlevel.checkpoint()
            return []

    one = client(a=Slow(), b=scripted())
    with pytest.raises(NoRouteError) as caught:
        await one.complete("org/none", "hi")
    assert list(caught.value.reasons) == ["a", "b"]


async def test_a_model_that_nobody_lists_is_looked_up_by_name(client, scripted):
    a = scripted(models=[])
    a.known = {"org/hidden": [Model(id="org/hidden", auth="none")]}
    async with client(a=a) as one:
        assert (await one.complete("org/hidden", "hi")).text == "hello"
        assert await one.models() == []


async def test_a_no_is_remembered(client, scripted):
    a = scripted()
    async with client(a=a) as one:
        for _ in range(3):
            with pytest.raises(NoRouteError):
                await one.complete("org/nobody", "hi")
    assert a.listed == 2


async def test_a_look_up_that_failed_is_no_no_for_long(client, scripted, clock):
    class Failing(scripted):
        @hookimpl
        async def get_models(self, session, wanted):
            if wanted is not None and clock.now == 1000:
                raise ConnectionFailedError("the network is down", kind="connect")
            return await super().get_models(session, wanted)

    a = Failing()
    a.known = {"org/hidden": [Model(id="org/hidden", auth="none")]}
    async with client(a=a) as one:
        with pytest.raises(NoRouteError, match="the network is down"):
            await one.complete("org/hidden", "hi")
        clock.now += 31
        assert (await one.complete("org/hidden", "hi")).text == "hello"


async def test_a_pinned_provider_passes_an_unlisted_model_on(client, scripted):
    a = scripted(models=[])
    await client(a=a).complete("a::llama3.1:8b", "hi")
    assert a.requests[0].model.remote_id == "llama3.1:8b"


async def test_a_pinned_provider_passes_the_upstream_of_an_unlisted_model_on(client, scripted):
    a = scripted(models=[])
    await client(a=a).complete("a::org/model:groq", "hi")
    model = a.requests[0].model
    assert (model.remote_id, model.upstream) == ("org/model:groq", "groq")


async def test_a_provider_that_is_not_there_is_named_with_the_remedy(client, scripted):
    with pytest.raises(NoRouteError, match="pip install plugmux-hf-chat"):
        await client(a=scripted()).complete("hf-chat::org/model", "hi")


async def test_without_any_plugin_the_error_says_which_to_install(client):
    with pytest.raises(NoRouteError, match="pip install plugmux-hf-inference"):
        await client().complete("org/model", "hi")


async def test_without_a_needed_credential_the_error_says_how_to_log_in(client, scripted):
    with pytest.raises(NoRouteError, match=r"(?s)needs a credential.*plugmux auth login a"):
        await client(a=scripted(auth="required")).complete("org/model", "hi")


async def test_no_model_means_the_configured_default(client, scripted):
    a = scripted(models=["org/model", "org/other"])
    one = client(a=a, environ={"PLUGMUX_MODEL": "org/other"})
    assert (await one.complete(None, "hi")).model == "org/other"


async def test_an_empty_text_is_no_content(client, scripted):
    a = scripted([Text(text=""), Finish()], latency=0.1)
    completion = await client(a=a, b=scripted(latency=0.2)).complete("org/model", "hi")
    assert completion.text == "hello"
    assert not a.sessions[0].watch.content_seen


async def test_usage_is_the_serving_attempts_and_the_total_everybodys(client, scripted):
    a = scripted([Text(text="x"), Usage(prompt_tokens=5, completion_tokens=1, total_tokens=6)], latency=0.1)
    b = scripted(
        [Text(text="y"), Usage(prompt_tokens=5, completion_tokens=2, total_tokens=7), Finish()], latency=0.2
    )
    completion = await client(a=a, b=b).complete("org/model", "hi")
    assert completion.usage.total_tokens == 7
    assert completion.usage_total.total_tokens == 13


async def test_the_answer_names_who_served_it(client, scripted):
    served = ServedBy(upstream="together", request_id="r-1")
    completion = await client(a=scripted([served, Text(text="x"), Finish()])).complete("org/model", "hi")
    assert (completion.upstream, completion.request_id) == ("together", "r-1")


async def test_pieces_of_a_tool_call_are_joined(client, scripted):
    pieces = [ToolCall(id="c1", name="add", arguments='{"a":'), ToolCall(arguments="1}"), Finish()]
    (call,) = (await client(a=scripted(pieces)).complete("org/model", "hi")).tool_calls
    assert (call.id, call.name, call.arguments) == ("c1", "add", '{"a":1}')


async def test_a_conversation_goes_on_with_what_the_provider_left(client, scripted):
    a = scripted([Text(text="hello"), ConversationState(state={"id": "c-1"}), Finish()])
    async with client(a=a) as one:
        first = await one.complete("org/model", "hi")
        kept = Conversation.from_dict(first.conversation.to_dict())
        await one.complete("org/model", "and now?", conversation=kept)
    request = a.requests[1]
    assert request.state == {"id": "c-1"}
    assert [message.text for message in request.new_messages] == ["and now?"]
    assert [message.text for message in request.messages] == ["hi", "hello", "and now?"]


async def test_a_fallback_has_the_whole_history(client, scripted):
    a = scripted([Text(text="hello"), ConversationState(state={"id": "c-1"}), Finish()], latency=0.1)
    b = scripted(latency=0.2)
    async with client(a=a, b=b) as one:
        first = await one.complete("org/model", "hi")
        a.script.append([InvalidRequestError("forgot it")])
        await one.complete("org/model", "and now?", conversation=first.conversation)
    assert b.requests[0].state is None
    assert [message.text for message in b.requests[0].new_messages] == ["hi", "hello", "and now?"]


async def test_what_a_provider_left_before_it_failed_is_not_the_next_ones(client, scripted):
    a = scripted([ConversationState(state={"id": "c-1"}), InvalidRequestError("no")], latency=0.1)
    b = scripted([Text(text="hello"), Finish()], latency=0.2)
    completion = await client(a=a, b=b).complete("org/model", "hi")
    assert (completion.provider, completion.conversation.states) == ("b", ())


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"messages": ""}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": 5}, "messages"),
        ({"model": ""}, "model"),
        ({"model": []}, "model"),
        ({"temperature": "hot"}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"maxtokens": 5}, "maxtokens"),
        ({"timeout": 0}, "timeout"),
        ({"task": "dreaming"}, "task"),
        ({"policy": {"sort": "luck"}}, "policy.sort"),
        ({"policy": {"colour": 1}}, "policy.colour"),
        ({"n": 2}, "n"),
    ],
)
def test_a_wrong_argument_is_refused_at_the_door(client, scripted, arguments, field):
    given = {"model": "org/model", "messages": "hi"} | arguments
    with pytest.raises(InvalidInputError) as caught:
        client(a=scripted()).stream(**given)
    assert caught.value.field == field


async def test_an_unreadable_image_is_refused_with_the_fields_name(client, scripted, tmp_path):
    with pytest.raises(InvalidInputError, match=r"image: cannot read .*missing\.png"):
        await client(a=scripted()).complete("org/model", "hi", image=tmp_path / "missing.png")


@pytest.mark.parametrize("stop_at", [1, 2, 3])
async def test_leaving_a_stream_closes_the_plugins_generator(client, scripted, stop_at):
    a = scripted([Text(text="one"), Text(text="two"), Finish()])
    async with client(a=a).stream("org/model", "hi") as stream:
        seen = 0
        async for _ in stream:
            seen += 1
            if seen > stop_at:
                break
    assert a.closed == 1
    gc.collect()


async def test_a_cancelled_caller_closes_the_plugins_generator(client, scripted):
    waiting = anyio.Event()

    class Waiting:
        closed = 0

        @hookimpl
        async def get_models(self):
            return [Model(id="org/model", auth="none")]

        @hookimpl
        async def create_stream(self, request, session):
            try:
                yield Text(text="one")
                waiting.set()
                await anyio.sleep_forever()
            finally:
                self.closed += 1

    plugin = Waiting()
    async with anyio.create_task_group() as group:
        group.start_soon(events_of, client(a=plugin))
        await waiting.wait()
        group.cancel_scope.cancel()
    assert plugin.closed == 1


async def test_several_answers_are_made_side_by_side(client, scripted):
    a = scripted(
        [Text(text="x"), Finish()],
        [Text(text="y"), Finish()],
        [InvalidRequestError("no")],
        tasks=["text-to-image"],
    )
    completion = await client(a=a).complete("org/model", "hi", n=3)
    assert len(a.requests) == 3
    assert [notice.code for notice in completion.notices] == ["answer-failed"]
    assert {choice.text for choice in completion.choices} == {"x", "y"}
    assert [choice["text"] for choice in completion.to_dict()["choices"]] == [
        choice.text for choice in completion.choices
    ]


def test_one_client_works_on_one_event_loop_after_another(client, scripted):
    one = client(a=scripted())

    async def ask():
        return (await one.complete("org/model", "hi")).text

    assert [anyio.run(ask, backend=backend) for backend in ("asyncio", "trio", "asyncio")] == ["hello"] * 3


async def test_health_is_remembered_by_the_next_client(client, scripted):
    a = scripted(*([[ServerError("down", status=500)]] * 3), latency=0.1)
    b = scripted(latency=0.2)
    async with client(a=a, b=b) as one:
        for _ in range(2):
            await one.complete("org/model", "hi", policy={"order": ["a"]})
        assert {h.provider: h.resting for h in one.health()}["a"]
    route = await client(a=a, b=b).explain("org/model")
    assert [c.model.provider for c in route.candidates] == ["b", "a"]
    assert "resting after 3 failures" in route.candidates[1].why


async def test_a_plugins_own_words_say_how_to_get_its_credential(client, scripted):
    class Careful(scripted):
        credential_remedy = "ask the doorman"

    with pytest.raises(NoRouteError, match="ask the doorman"):
        await client(a=Careful(auth="required")).complete("org/model", "hi")


async def test_the_default_is_one_for_the_task(client, scripted):
    a = scripted(default=True)
    b = scripted(models=["org/painter"], tasks=["text-to-image"])
    async with client(a=a, b=b) as one:
        assert (await one.complete(None, "hi")).model == "org/model"
        with pytest.raises(NoRouteError, match="no default for text-to-image") as caught:
            await one.complete(None, "a fox", task="text-to-image")
    assert caught.value.near == ("org/painter",)


async def test_the_default_is_that_of_a_provider_which_is_ready(client, scripted):
    keyed = scripted(models=["org/keyed"], default=True, auth="required")
    free = scripted(models=["org/free"], default=True)
    assert (await client(a=keyed, b=free).complete(None, "hi")).model == "org/free"
    keyed.credentials = [Credential.bearer("some-word", origins=["https://example.org"])]
    assert (await client(a=keyed, b=free).complete(None, "hi")).model == "org/keyed"


async def test_a_plugin_with_limits_of_its_own_has_no_time_set_for_its_first_content(client, scripted):
    patient, plain = scripted(), scripted()
    patient.own_limits = True
    await events_of(client(patient=patient))
    await events_of(client(plain=plain))
    assert patient.sessions[0].limits.first_content is None
    assert plain.sessions[0].limits.first_content == 120


async def test_the_time_for_a_request_counts_from_its_beginning(client, scripted):
    class Silent(scripted):
        @hookimpl
        async def get_models(self, session, wanted):
            await anyio.sleep_forever()

    async with client(a=Silent()) as one:
        with pytest.raises(AllProvidersFailedError, match=r"the 0\.1 s were over"), anyio.fail_after(20):
            await one.complete("org/model", "Hi", timeout=0.1)


async def test_limits_of_the_callers_own_do_not_outlast_the_time_for_the_request(client, scripted):
    a = scripted()
    async with client(a=a) as one:
        await one.complete("org/model", "Hi", timeout=2, limits=Limits(idle=30))
        await one.complete("org/model", "Hi", timeout=9, limits=Limits(idle=30, total=3))
        await one.complete("org/model", "Hi", limits=Limits(idle=30))
    assert [session.limits.total for session in a.sessions] == [2, 3, None]
    assert {session.limits.idle for session in a.sessions} == {30}


async def test_a_wish_that_nobody_knows_is_named_beside_one_that_is_served(client, scripted):
    async with client(a=scripted()) as one:
        completion = await one.complete(["org/modle", "org/model"], "Hi")
    (notice,) = completion.notices
    assert notice.code == "unknown-model"
    assert "'org/modle'" in notice.message
    assert "org/model?" in notice.message


async def test_a_stream_closed_before_it_began_asks_nobody(client, scripted):
    a = scripted()
    async with client(a=a) as one:
        stream = one.stream("org/model", "hi")
        await stream.aclose()
        assert [event async for event in stream] == []
    assert a.requests == []
