"""Whole turns against the sandbox's chat-ui, on both event loops."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import anyio
import pytest
from attrs import evolve

from plugmux.attachments import Attachment
from plugmux.errors import (
    AuthenticationError,
    DeadlineError,
    InvalidRequestError,
    ModelNotFoundError,
    QuotaExceededError,
    StreamCutError,
    UnsupportedOptionError,
)
from plugmux.events import (
    ConversationState,
    Finish,
    FinishReason,
    Media,
    Notice,
    Progress,
    Reasoning,
    ServedBy,
    Source,
    Sources,
    Text,
    Title,
)
from plugmux.messages import Conversation, Message, ProviderState
from plugmux.model import Task
from plugmux.requests import Limits, Request
from plugmux.session import Session
from plugmux_hf_chat import plugin
from plugmux_hf_chat._cookies import Cookie
from plugmux_hf_chat._credentials import credential_of

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
NewSession = Callable[..., Session]
NewRequest = Callable[..., Request]


async def events_of(request: Request, session: Session) -> list[Any]:
    async with aclosing(plugin.create_stream(request, session)) as stream:
        return [event async for event in stream]


def of(kind: type, events: list[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def text_of(events: list[Any]) -> str:
    return "".join(event.text for event in of(Text, events))


def gone_on(request: Request, events: list[Any], *before: ProviderState) -> Conversation:
    """The conversation as the core keeps it after an answer."""
    messages = (*request.messages, Message(role="assistant", content=text_of(events)))
    state = ProviderState(
        provider="hf-chat",
        model=request.model.id,
        covers=len(messages),
        state=of(ConversationState, events)[-1].state,
    )
    others = tuple(old for old in before if old.model != request.model.id)
    return Conversation(messages=messages, states=(*others, state))


def sent(box: Any, method: str, ending: str) -> list[Any]:
    return [seen for seen in box.requests if seen.method == method and seen.path.endswith(ending)]


def last_data(box: Any) -> dict[str, Any]:
    """The `data` part of the last message that the sandbox was sent."""
    messages = [r for r in box.requests if r.method == "POST" and b'name="data"' in r.body]
    part = messages[-1].body.split(b'name="data"\r\n\r\n')[1]
    return json.loads(part.split(b"\r\n--")[0])


async def test_a_turn_gives_text_title_state_and_one_finish(
    box: Any, new_session: NewSession, new_request: NewRequest
) -> None:
    events = await events_of(new_request("Hello"), new_session(f"{box.url}/hf-chat/chat"))
    assert "The prompt was “Hello”" in text_of(events)
    assert text_of(events).endswith("Model sandbox/plain, turn 1.")
    assert of(Title, events) == [Title(title="Sandbox chat")]
    assert of(ServedBy, events) == [ServedBy(upstream="sandbox")]
    assert events[-1] == Finish(reason=FinishReason.STOP)
    assert isinstance(events[0], ConversationState)
    assert isinstance(events[-2], ConversationState)


async def test_the_next_turn_sends_only_the_new_message(
    box: Any, new_session: NewSession, new_request: NewRequest
) -> None:
    session = new_session(f"{box.url}/hf-chat/chat")
    first = new_request("one")
    conversation = gone_on(first, await events_of(first, session))
    second = new_request("two", conversation=Conversation.from_dict(conversation.to_dict()))
    events = await events_of(second, session)
    assert text_of(events).endswith("turn 2.")
    assert last_data(box)["inputs"] == "two"
    assert not of(Notice, events)


async def test_a_repeated_system_prompt_is_not_sent_again_and_another_one_is_said_to_be_ignored(
    box: Any, new_session: NewSession, new_request: NewRequest
) -> None:
    session = new_session(f"{box.url}/hf-chat/chat")
    first = new_request("one", system="Be brief.")
    talk = gone_on(first, await events_of(first, session))
    events = await events_of(new_request("two", system="Be brief.", conversation=talk), session)
    assert last_data(box)["inputs"] == "two"
    assert not of(Notice, events)
    events = await events_of(new_request("two", system="Be long.", conversation=talk), session)
    assert last_data(box)["inputs"] == "two"
    assert [notice.option for notice in of(Notice, events)] == ["system"]


async def test_two_models_keep_their_contexts_apart(
    box: Any, new_session: NewSession, new_request: NewRequest
) -> None:
    session = new_session(f"{box.url}/hf-chat/chat")
    first = new_request("one")
    talk = gone_on(first, await events_of(first, session))
    other = new_request("two", "sandbox/vision", conversation=talk)
    talk = gone_on(other, await events_of(other, session), *talk.states)
    assert last_data(box)["inputs"].startswith("This is our conversation so far.")
    again = new_request("three", conversation=talk)
    events = await events_of(again, session)
    assert text_of(events).endswith("Model sandbox/plain, turn 2.")
    # what the other model said meanwhile is new to this one
    assert "User: two" in last_data(box)["inputs"]
    assert len({state.state["conversation"] for state in talk.states}) == 2


async def test_a_conversation_goes_on_with_a_cold_client_that_has_the_cache(
    box: Any, new_session: NewSession, new_request: NewRequest
) -> None:
    first = new_request("one")
    talk = gone_on(first, await events_of(first, new_session(f"{box.url}/hf-chat/chat")))
    cold = new_session(f"{box.url}/hf-chat/chat", cold=True)
    events = await events_of(new_request("two", conversation=talk), cold)
    assert text_of(events).endswith("turn 2.")


async def test_a_forgotten_conversation_starts_anew_with_the_history(
    box: Any, new_session: NewSession, new_request: NewRequest
) -> None:
    session = new_session(f"{box.url}/hf-chat/chat")
    first = new_request("remember me", system="Be brief.")
    events = await events_of(first, session)
    talk = gone_on(first, events)
    lost = {**talk.states[0].state, "conversation": "0" * 24}
    gone = ProviderState(provider="hf-chat", model="sandbox/plain", covers=3, state=lost)
    talk = Conversation(messages=talk.messages, states=(gone,))
    events = await events_of(new_request("and now?", conversation=talk), session)
    assert [notice.code for notice in of(Notice, events)] == ["conversation-restarted"]
    assert "User: remember me" in last_data(box)["inputs"]
    assert "User: and now?" in last_data(box)["inputs"]
    created = sent(box, "POST", "/hf-chat/chat/conversation")[-1].json()
    assert created == {"model": "sandbox/plain", "preprompt": "Be brief."}
    assert of(ConversationState, events)[-1].state["conversation"] != "0" * 24


async def test_the_list_of_tool_servers_always_goes_along(
    box: Any, new_session: NewSession, new_request: NewRequest
) -> None:
    events = await events_of(new_request("hi", "sandbox/tools"), new_session(f"{box.url}/hf-chat/chat"))
    data = last_data(box)
    assert data["selectedMcpServerNames"] == []
    assert "web_search" not in data
    assert not of(Progress, events)


async def test_web_search_selects_the_search_server_and_gives_sources(
    box: Any, new_session: NewSession, new_request: NewRequest
) -> None:
    request = new_request("a picture of cats", "sandbox/tools", web_search=True)
    events = await events_of(request, new_session(f"{box.url}/hf-chat/chat"))
    source = Source(url="https://example.com/sandbox", title="Sandbox page", snippet="nothing was searched")
    assert of(Sources, events) == [Sources(sources=(source,))]
    assert [media.mime_type for media in of(Media, events)] == ["image/png"]
    assert last_data(box)["selectedMcpServerNames"] == ["Web Search (Sandbox)"]
    assert text_of(events).startswith("Let me look. This is the plugmux sandbox")


async def test_web_search_on_a_model_without_tools_is_said_to_be_ignored(
    box: Any, new_session: NewSession, new_request: NewRequest
) -> None:
    request = new_request("hi", web_search=True, capabilities={"web_search": False})
    events = await events_of(request, new_session(f"{box.url}/hf-chat/chat"))
    assert [(notice.code, notice.option) for notice in of(Notice, events)] == [
        ("option-ignored", "web_search")
    ]


async def test_an_option_that_chat_ui_does_not_know_is_reported(
    box: Any, new_session: NewSession, new_request: NewRequest
) -> None:
    request = new_request("hi", temperature=0.2, max_tokens=5)
    events = await events_of(request, new_session(f"{box.url}/hf-chat/chat"))
    assert [notice.option for notice in of(Notice, events)] == ["max_tokens", "temperature"]


async def test_continue_is_refused_because_it_would_be_an_empty_question(
    box: Any, new_session: NewSession, new_request: NewRequest
) -> None:
    with pytest.raises(UnsupportedOptionError):
        await events_of(new_request("hi", action="continue"), new_session(f"{box.url}/hf-chat/chat"))


async def test_what_chat_ui_does_not_do_is_refused_and_not_chatted_about(
    box: Any, new_session: NewSession, new_request: NewRequest
) -> None:
    with pytest.raises(InvalidRequestError, match="chat-ui does not do text-to-speech"):
        await events_of(new_request("hi", task=Task.TEXT_TO_SPEECH), new_session(f"{box.url}/hf-chat/chat"))


async def test_a_picture_goes_along_as_base64_with_its_prefix(
    box: Any, new_session: NewSession, new_request: NewRequest
) -> None:
    url = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    content = [{"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": {"url": url}}]
    request = new_request([{"role": "user", "content": content}], "sandbox/vision")
    events = await events_of(request, new_session(f"{box.url}/hf-chat/chat"))
    assert text_of(events).endswith("It saw 1 file(s).")
    body = [r for r in box.requests if b'name="data"' in r.body][-1].body
    assert b'filename="base64;image.png"' in body


@pytest.mark.parametrize(
    ("picture", "why"),
    [
        (Attachment(url="http://127.0.0.1:9/a.png"), "cannot fetch the picture to send: .* private address"),
        (Attachment(name="cat.png", data=bytes(11 * 1024 * 1024)), "'cat.png' has 11,534,336 bytes"),
    ],
    ids=["private-address", "too-large"],
)
@pytest.mark.parametrize("turn", ["first", "second"])
async def test_a_picture_that_cannot_be_sent_is_the_requests_fault_and_leaves_nothing_behind(
    box: Any, new_session: NewSession, new_request: NewRequest, picture: Attachment, why: str, turn: str
) -> None:
    session, talk = new_session(f"{box.url}/hf-chat/chat"), None
    if turn == "second":
        first = new_request("one", "sandbox/vision")
        talk = gone_on(first, await events_of(first, session))
    before = len([seen for seen in box.requests if seen.method == "POST"])
    request = new_request("what is it?", "sandbox/vision", conversation=talk, image=picture)
    with pytest.raises(InvalidRequestError, match=why) as caught:
        await events_of(request, session)
    assert (caught.value.param, caught.value.flaw) == ("image", False)
    assert len([seen for seen in box.requests if seen.method == "POST"]) == before


async def test_retry_asks_for_another_answer_to_the_same_question(
    box: Any, new_session: NewSession, new_request: NewRequest
) -> None:
    session = new_session(f"{box.url}/hf-chat/chat")
    first = new_request("one")
    talk = gone_on(first, await events_of(first, session))
    request = new_request("one", conversation=talk, extra_body={"retry": True})
    events = await events_of(request, session)
    data = last_data(box)
    assert text_of(events).endswith("turn 1.")
    assert data["is_retry"] is True
    assert "inputs" not in data
    assert "retry" not in data


async def test_retry_with_the_last_question_loses_nothing(
    box: Any, new_session: NewSession, new_request: NewRequest
) -> None:
    session = new_session(f"{box.url}/hf-chat/chat")
    first = new_request("one", system="Be brief.")
    talk = gone_on(first, await events_of(first, session))
    request = new_request("one", system="Be brief.", conversation=talk, extra_body={"retry": True})
    assert not of(Notice, await events_of(request, session))


async def test_retry_needs_no_prompt(box: Any, new_session: NewSession, new_request: NewRequest) -> None:
    session = new_session(f"{box.url}/hf-chat/chat")
    first = new_request("one")
    talk = gone_on(first, await events_of(first, session))
    events = await events_of(new_request([], conversation=talk, extra_body={"retry": True}), session)
    assert text_of(events).endswith("turn 1.")
    assert not of(Notice, events)


async def test_a_conversation_with_nothing_new_is_not_sent_again(
    box: Any, new_session: NewSession, new_request: NewRequest
) -> None:
    session = new_session(f"{box.url}/hf-chat/chat")
    first = new_request("one")
    talk = gone_on(first, await events_of(first, session))
    with pytest.raises(InvalidRequestError, match="nothing is said after the last answer"):
        await events_of(new_request([], conversation=talk), session)


async def test_what_retry_does_not_send_is_said(
    box: Any, new_session: NewSession, new_request: NewRequest
) -> None:
    session = new_session(f"{box.url}/hf-chat/chat")
    first = new_request("one", "sandbox/vision")
    talk = gone_on(first, await events_of(first, session))
    picture = Attachment(name="a.png", mime_type="image/png", data=PNG)
    request = new_request(
        "other", "sandbox/vision", conversation=talk, image=picture, extra_body={"retry": True}
    )
    events = await events_of(request, session)
    assert [(notice.code, notice.option) for notice in of(Notice, events)] == [
        ("option-ignored", "messages"),
        ("option-ignored", "image"),
    ]
    assert "inputs" not in last_data(box)


async def test_edit_asks_the_last_question_in_other_words(
    box: Any, new_session: NewSession, new_request: NewRequest
) -> None:
    session = new_session(f"{box.url}/hf-chat/chat")
    first = new_request("one")
    talk = gone_on(first, await events_of(first, session))
    events = await events_of(new_request("better", conversation=talk, extra_body={"edit": True}), session)
    assert "The prompt was “better”" in text_of(events)
    assert text_of(events).endswith("turn 1.")


async def test_retry_without_a_conversation_is_refused(
    box: Any, new_session: NewSession, new_request: NewRequest
) -> None:
    with pytest.raises(InvalidRequestError, match="needs a conversation"):
        await events_of(new_request("x", extra_body={"retry": True}), new_session(f"{box.url}/hf-chat/chat"))


async def test_resume_takes_up_a_run_from_its_beginning(
    slow_box: Any, new_session: NewSession, new_request: NewRequest
) -> None:
    session = new_session(f"{slow_box.url}/hf-chat/chat")
    first = new_request("count")
    async with aclosing(plugin.create_stream(first, session)) as stream:
        state = (await anext(stream)).state
        slot = ProviderState(provider="hf-chat", model="sandbox/plain", covers=1, state=state)
        talk = Conversation(messages=first.messages, states=(slot,))
        second = new_request("count", conversation=talk, extra_body={"resume": True})
        events = await events_of(second, new_session(f"{slow_box.url}/hf-chat/chat"))
    assert "The prompt was “count”" in text_of(events)
    assert events[-1] == Finish(reason=FinishReason.STOP)


async def test_a_run_that_is_gone_cannot_be_resumed(
    box: Any, new_session: NewSession, new_request: NewRequest
) -> None:
    session = new_session(f"{box.url}/hf-chat/chat")
    first = new_request("one")
    talk = gone_on(first, await events_of(first, session))
    state = {**talk.states[0].state, "generation": "00000000-0000-4000-8000-000000000000"}
    slot = ProviderState(provider="hf-chat", model="sandbox/plain", covers=2, state=state)
    talk = Conversation(messages=talk.messages, states=(slot,))
    with pytest.raises(InvalidRequestError, match="no longer there"):
        await events_of(new_request("x", conversation=talk, extra_body={"resume": True}), session)


async def test_the_session_of_a_visitor_is_kept_on_disk_and_no_other_is_sent(
    box: Any, new_session: NewSession, new_request: NewRequest
) -> None:
    session = new_session(f"{box.url}/hf-chat/chat")
    await events_of(new_request("one"), session)
    key = f"anonymous session {box.url}/hf-chat/chat"
    assert session.cache.get(key)
    session.cache.delete(key)
    await events_of(new_request("one"), session)
    assert "cookie" not in sent(box, "POST", "/hf-chat/chat/conversation")[-1].headers


async def test_two_visitors_of_one_client_share_one_session(
    box: Any, new_session: NewSession, new_request: NewRequest
) -> None:
    talks: list[Conversation] = []
    before = len(box.requests)

    async def chat(prompt: str) -> None:
        first = new_request(prompt)
        talks.append(gone_on(first, await events_of(first, new_session(f"{box.url}/hf-chat/chat"))))

    async with anyio.create_task_group() as group:
        for prompt in ("one", "two", "three"):
            group.start_soon(chat, prompt)
    created = [seen for seen in box.requests[before:] if seen.path.endswith("/chat/conversation")]
    assert ["cookie" in seen.headers for seen in created] == [False, True, True]
    for talk in talks:
        session = new_session(f"{box.url}/hf-chat/chat")
        events = await events_of(new_request("and now?", conversation=talk), session)
        assert not of(Notice, events)


async def test_an_accepted_message_prolongs_the_login(
    box: Any, new_session: NewSession, new_request: NewRequest
) -> None:
    """The file says that the login has ended, the server said later that it has not."""
    base = f"{box.url}/hf-chat/login"
    pair = [
        Cookie(name="hf-chat", value="sandbox-session", expires=1000.0),
        Cookie(name="token", value="sandbox-token"),
    ]
    session = new_session(base)
    credential = credential_of(pair, base, source="a file", now=0.0, session=session)
    assert credential is not None
    with pytest.raises(AuthenticationError, match="expired"):
        credential_of(pair, base, source="a file", now=2000.0, session=session)
    await events_of(new_request("hi"), new_session(base, credential=credential))
    assert credential_of(pair, base, source="a file", now=2000.0, session=session) is not None


async def test_two_turns_in_one_conversation_wait_for_each_other(
    slow_box: Any, new_session: NewSession, new_request: NewRequest
) -> None:
    session = new_session(f"{slow_box.url}/hf-chat/chat")
    first = new_request("one")
    talk = gone_on(first, await events_of(first, session))
    spans: list[tuple[float, float]] = []

    async def turn(text: str) -> None:
        started, ended = [], 0.0
        async with aclosing(plugin.create_stream(new_request(text, conversation=talk), session)) as stream:
            async for event in stream:
                started += [anyio.current_time()] if isinstance(event, ConversationState) else []
                ended = anyio.current_time()
        spans.append((started[0], ended))

    async with anyio.create_task_group() as group:
        group.start_soon(turn, "two")
        group.start_soon(turn, "three")
    one, other = sorted(spans)
    assert one[1] <= other[0]


async def test_a_turn_does_not_wait_for_ever_for_one_that_nobody_reads(
    box: Any, new_session: NewSession, new_request: NewRequest
) -> None:
    session = new_session(f"{box.url}/hf-chat/chat")
    first = new_request("one")
    talk = gone_on(first, await events_of(first, session))
    hasty = new_session(f"{box.url}/hf-chat/chat", limits=Limits(first_content=0.01))
    async with aclosing(plugin.create_stream(new_request("two", conversation=talk), session)) as unread:
        await anext(unread)
        with pytest.raises(DeadlineError, match=r"an earlier turn .* has not ended within 0\.01 s"):
            await events_of(new_request("three", conversation=talk), hasty)


async def test_breaking_off_tells_the_server_to_stop(
    slow_box: Any, new_session: NewSession, new_request: NewRequest
) -> None:
    session = new_session(f"{slow_box.url}/hf-chat/chat")
    async with aclosing(plugin.create_stream(new_request("long"), session)) as stream:
        async for event in stream:
            if isinstance(event, Text):
                break
    seen = slow_box.requests[-1]
    assert seen.path.endswith("/stop-generating")
    assert set(seen.json()) == {"generationId"}


async def test_cancelling_tells_the_server_to_stop(
    slow_box: Any, new_session: NewSession, new_request: NewRequest
) -> None:
    session = new_session(f"{slow_box.url}/hf-chat/chat")
    with anyio.CancelScope() as scope:
        async with aclosing(plugin.create_stream(new_request("long"), session)) as stream:
            async for event in stream:
                if isinstance(event, Text):
                    scope.cancel()
    assert scope.cancelled_caught
    assert slow_box.requests[-1].path.endswith("/stop-generating")


async def test_closing_the_client_tells_the_server_to_stop(
    slow_box: Any, new_session: NewSession, new_request: NewRequest
) -> None:
    session = new_session(f"{slow_box.url}/hf-chat/chat")
    async with aclosing(plugin.create_stream(new_request("long"), session)) as stream:
        async for event in stream:
            if isinstance(event, Text):
                await session._resources.aclose()
                break
    assert slow_box.requests[-1].path.endswith("/stop-generating")


async def test_a_stream_whose_client_is_closed_ends_by_a_typed_error(
    slow_box: Any, new_session: NewSession, new_request: NewRequest
) -> None:
    session = new_session(f"{slow_box.url}/hf-chat/chat")
    async with aclosing(plugin.create_stream(new_request("long"), session)) as stream:
        async for event in stream:
            if isinstance(event, Text):
                break
        await session._resources.aclose()
        with pytest.raises(StreamCutError, match="closed"):
            async for _ in stream:
                pass


async def test_closing_the_client_after_an_answer_tells_the_server_nothing(
    box: Any, new_session: NewSession, new_request: NewRequest
) -> None:
    session = new_session(f"{box.url}/hf-chat/chat")
    await events_of(new_request("short"), session)
    seen = len(box.requests)
    await session._resources.aclose()
    assert len(box.requests) == seen


async def test_effort_becomes_a_setting_of_the_account_and_says_so(
    box: Any, new_session: NewSession, new_request: NewRequest
) -> None:
    session = new_session(f"{box.url}/hf-chat/chat")
    await events_of(new_request("hi", "sandbox/reasoner"), session)  # makes the session
    request = new_request("hi", "sandbox/reasoner", reasoning_effort="high")
    events = await events_of(request, session)
    assert [notice.code for notice in of(Notice, events)] == ["setting-changed"]
    body = sent(box, "POST", "/user/settings")[-1].json()
    assert body["reasoningEffortOverrides"] == {"sandbox/reasoner": "high"}
    assert body["hidePromptExamples"] == {}
    assert "".join(event.text for event in of(Reasoning, events)) == "Synthetic thoughts, synthetic answer."
    again = await events_of(request, session)
    assert not of(Notice, again)


async def test_effort_that_a_server_does_not_set_for_a_model_is_said_to_be_ignored(
    box: Any, new_session: NewSession, new_request: NewRequest
) -> None:
    request = new_request("hi", reasoning_effort="high")
    request = evolve(request, model=evolve(request.model, options={"web_search"}))
    before = len(sent(box, "POST", "/user/settings"))
    events = await events_of(request, new_session(f"{box.url}/hf-chat/chat"))
    assert [(n.code, n.option) for n in of(Notice, events)] == [("option-ignored", "reasoning_effort")]
    assert len(sent(box, "POST", "/user/settings")) == before


async def test_no_login_where_one_is_needed_is_a_typed_error_with_the_remedy(
    box: Any, new_session: NewSession, new_request: NewRequest
) -> None:
    with pytest.raises(AuthenticationError, match="plugmux auth login hf-chat") as caught:
        await events_of(new_request("hi"), new_session(f"{box.url}/hf-chat/login"))
    assert caught.value.status == 302


async def test_a_login_by_two_cookies_works(
    box: Any, new_session: NewSession, new_request: NewRequest
) -> None:
    cookies = "hf-chat=sandbox-session; token=sandbox-token"
    session = new_session(f"{box.url}/hf-chat/login", cookies=cookies)
    credential = await plugin.authenticate(session, None)
    session = new_session(f"{box.url}/hf-chat/login", credential=credential)
    events = await events_of(new_request("hi"), session)
    assert events[-1] == Finish(reason=FinishReason.STOP)


@pytest.mark.parametrize(
    ("fault", "kind", "status"),
    [
        ("402", QuotaExceededError, 402),
        ("404", ModelNotFoundError, 404),
        ("401", AuthenticationError, 401),
        ("cut", StreamCutError, None),
        ("empty", StreamCutError, None),
    ],
)
async def test_a_failing_model_gives_its_typed_error(
    fault: str,
    kind: type[Exception],
    status: int | None,
    box: Any,
    new_session: NewSession,
    new_request: NewRequest,
) -> None:
    request = new_request("hi", f"sandbox/fault-{fault}")
    if fault in ("cut", "empty"):
        # The run goes on in the server: the answer is taken up again and comes whole.
        events = await events_of(request, new_session(f"{box.url}/hf-chat/chat"))
        assert text_of(events).endswith("turn 1.")
        assert text_of(events).count("This is the plugmux sandbox") == 1
        return
    with pytest.raises(kind) as caught:
        await events_of(request, new_session(f"{box.url}/hf-chat/chat"))
    assert caught.value.status == status


async def test_an_older_server_gives_search_reasoning_and_pictures_by_its_own_events(
    box: Any, new_session: NewSession, new_request: NewRequest
) -> None:
    session = new_session(f"{box.url}/hf-chat/older")
    request = new_request("draw", "command-a-03-2025", task=Task.TEXT_TO_IMAGE, web_search=True)
    events = await events_of(request, session)
    assert of(Sources, events) == [
        Sources(sources=(Source(url="https://example.com/older", title="Sandbox page"),))
    ]
    assert [media.mime_type for media in of(Media, events)] == ["image/png"]
    assert of(Progress, events) == [Progress(stage="web-search", message="Searching nothing")]
    events = await events_of(new_request("think", "sandbox/older-reasoner"), session)
    assert of(Reasoning, events) == [
        Reasoning(status="Thinking"),
        Reasoning(text="Synthetic thoughts."),
    ]


async def test_an_older_server_goes_on_with_a_conversation_from_its_page_data(
    box: Any, new_session: NewSession, new_request: NewRequest
) -> None:
    session = new_session(f"{box.url}/hf-chat/older")
    first = new_request("one", "command-a-03-2025")
    talk = gone_on(first, await events_of(first, session))
    events = await events_of(new_request("two", "command-a-03-2025", conversation=talk), session)
    assert text_of(events).endswith("turn 2.")
