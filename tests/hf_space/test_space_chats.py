"""Chats: what an app is told of the conversation, and what of its answer is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from plugmux.events import ConversationState, Media, Notice, Reasoning, Reset, Text
from plugmux.messages import Conversation, ProviderState
from plugmux.testing import FaultServer

Collect = Callable[..., Any]


def words(events: list[Any]) -> str:
    return "".join(event.text for event in events if isinstance(event, Text))


def kinds(events: list[Any], *wanted: type) -> list[Any]:
    return [event for event in events if isinstance(event, wanted)]


def sent(server: FaultServer, path: str) -> list[Any]:
    return [
        request.json() for request in server.requests if request.path == path and request.method == "POST"
    ]


@pytest.fixture
def talker(script: Any, says: Any) -> Any:
    script.mode = "chat_interface"
    script.inputs = [("textbox", "message", {}), ("state", "", {})]
    script.outputs = [("json", "Response", {}), ("state", "", {})]
    script.messages = [says.done("Hello", None), says.close]
    return script


HISTORY = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello"},
    {"role": "user", "content": "Who?"},
]


def going_on(url: str, state: dict[str, Any], covers: int = 2) -> Conversation:
    kept = ProviderState(provider="hf-space", model=url, covers=covers, state=state)
    return Conversation(states=(kept,))


async def test_a_chat_goes_on_in_its_session_with_the_last_message_only(
    server: FaultServer, talker: Any, collect: Collect
) -> None:
    (kept,) = kinds(await collect(server.url, "Hi"), ConversationState)
    await collect(server.url, HISTORY, conversation=going_on(server.url, kept.state))
    first, second = sent(server, "/gradio_api/queue/join")
    assert first["session_hash"] == second["session_hash"] == kept.state["session"]
    assert second["data"] == ["Who?", None]


async def test_a_session_of_an_app_that_was_started_anew_is_not_trusted(
    server: FaultServer, talker: Any, collect: Collect
) -> None:
    state = {"session": "old", "run": "another"}
    await collect(server.url, HISTORY, conversation=going_on(server.url, state))
    (join,) = sent(server, "/gradio_api/queue/join")
    assert join["session_hash"] != "old"
    assert "Hi" in join["data"][0]


async def test_a_history_that_an_app_cannot_take_is_sent_as_one_text_and_told(
    server: FaultServer, talker: Any, collect: Collect
) -> None:
    events = await collect(server.url, HISTORY)
    assert "history-flattened" in [notice.code for notice in kinds(events, Notice)]
    (join,) = sent(server, "/gradio_api/queue/join")
    assert join["data"][0] == "User: Hi\n\nAssistant: Hello\n\nUser: Who?\n\nAssistant:"


async def test_rules_without_a_place_of_their_own_come_first(
    server: FaultServer, talker: Any, collect: Collect
) -> None:
    await collect(server.url, [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}])
    (join,) = sent(server, "/gradio_api/queue/join")
    assert join["data"][0] == "Be kind.\n\nHi"


async def test_what_an_assistant_thinks_is_reasoning_and_not_its_answer(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    script.inputs = [("textbox", "message", {}), ("chatbot", "history", {"value": []})]
    script.outputs = [("chatbot", "history", {})]
    thought = {"role": "assistant", "content": "Hm", "metadata": {"title": "Thinking"}}
    asked = {"role": "user", "content": "Who?"}
    script.messages = [
        says.generating([asked, thought]),
        says.generating([["append", [1, "content"], "m"]]),
        says.done([asked, {**thought, "content": "Hmm"}, {"role": "assistant", "content": "Me"}]),
        says.close,
    ]
    events = await collect(server.url, "Who?")
    assert [e.text for e in kinds(events, Reasoning)] == ["Hm", "m"]
    assert words(events) == "Me"


async def test_thoughts_outlive_a_text_that_is_replaced(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    script.inputs = [("textbox", "message", {}), ("chatbot", "history", {"value": []})]
    script.outputs = [("chatbot", "history", {})]
    thought = {"role": "assistant", "content": "Hm", "metadata": {"title": "Thinking"}}
    script.messages = [
        says.generating([thought, {"role": "assistant", "content": "…"}]),
        says.done([thought, {"role": "assistant", "content": "Me"}]),
        says.close,
    ]
    events = await collect(server.url, "Who?")
    said = [e for e in events if isinstance(e, Reasoning | Reset | Text)]
    assert said[-3:] == [Reset(why="the app replaced its text"), Reasoning(text="Hm"), Text(text="Me")]


async def test_a_chatbot_takes_the_history_with_the_request(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    script.inputs = [("chatbot", "history", {"value": []}), ("state", "", {})]
    script.outputs = [("chatbot", "history", {}), ("state", "", {})]
    answer = [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Me"}]
    script.messages = [says.done(answer, None), says.close]
    assert words(await collect(server.url, HISTORY)) == "Me"
    (join,) = sent(server, "/gradio_api/queue/join")
    said = [(m["role"], m["content"][0]["text"]) for m in join["data"][0]]
    assert said == [("user", "Hi"), ("assistant", "Hello"), ("user", "Who?")]


RULED = [{"role": "system", "content": "Be kind."}, *HISTORY]
CHATBOTS = [
    ("6.31.0", {}, lambda message: (message["role"], message["content"][0]["text"])),
    ("5.50.0", {"type": "messages"}, lambda message: (message["role"], message["content"])),
    ("4.44.1", {"type": "tuples"}, tuple),
]


@pytest.mark.parametrize(("version", "props", "told"), CHATBOTS)
async def test_rules_stand_before_the_first_words_of_a_chatbots_history(
    server: FaultServer,
    script: Any,
    says: Any,
    collect: Collect,
    version: str,
    props: dict[str, Any],
    told: Callable[[Any], Any],
) -> None:
    script.version = version
    script.inputs = [("textbox", "message", {}), ("chatbot", "history", {"value": [], **props})]
    script.outputs = [("chatbot", "history", {})]
    script.messages = [says.done([{"role": "assistant", "content": "Me"}]), says.close]
    await collect(server.url, RULED)
    (join,) = sent(server, "/gradio_api/queue/join")
    first = "Be kind.\n\nHi"
    pairs = [(first, "Hello")] if props.get("type") == "tuples" else [("user", first), ("assistant", "Hello")]
    assert join["data"][0] == "Who?"
    assert [told(row) for row in join["data"][1]] == pairs


@pytest.fixture
def chatbot(script: Any) -> Any:
    script.inputs = [("multimodaltextbox", "message", {}), ("chatbot", "history", {"value": []})]
    script.outputs = [("chatbot", "history", {})]
    return script


async def test_a_picture_in_a_chats_answer_is_fetched(
    server: FaultServer, chatbot: Any, says: Any, collect: Collect, picture: bytes
) -> None:
    chatbot.files = {"/tmp/a.png": picture}
    shown = [{"type": "text", "text": "Look:"}, {"type": "file", "file": says.file("/tmp/a.png")}]
    chatbot.messages = [says.done([{"role": "assistant", "content": shown}]), says.close]
    events = await collect(server.url, "draw")
    assert words(events) == "Look:"
    assert [media.data for media in kinds(events, Media)] == [picture]


@pytest.mark.parametrize(("path", "said"), [("/tmp/gone.png", "does not give out"), ("/tmp/a.pdf", "no pic")])
async def test_a_file_of_a_chats_answer_that_cannot_be_given_is_told(
    server: FaultServer, chatbot: Any, says: Any, collect: Collect, path: str, said: str
) -> None:
    shown = [{"type": "text", "text": "Look:"}, {"type": "file", "file": says.file(path)}]
    chatbot.messages = [says.done([{"role": "assistant", "content": shown}]), says.close]
    events = await collect(server.url, "draw")
    assert words(events) == "Look:"
    (notice,) = kinds(events, Notice)
    assert notice.code == "file-left-out"
    assert said in notice.message


@pytest.mark.parametrize("inputs", [[], [("textbox", "system_prompt", {})]])
async def test_rules_reach_a_painter_that_has_a_place_for_them_or_are_told(
    server: FaultServer, painter: Any, says: Any, collect: Collect, picture: bytes, inputs: list[Any]
) -> None:
    painter.inputs += inputs
    painter.files = {"/tmp/a.png": picture}
    painter.messages = [says.done(says.file("/tmp/a.png"), "7"), says.close]
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "a fox"}]
    notices = kinds(await collect(server.url, messages), Notice)
    (join,) = sent(server, "/gradio_api/queue/join")
    assert join["data"] == (["a fox", "Be kind."] if inputs else ["a fox"])
    assert [notice.option for notice in notices] == ([] if inputs else ["system"])


async def test_parts_of_a_message_that_no_app_is_sent_are_told(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    script.messages = [says.done("Hello"), says.close]
    sound = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    message = {"role": "user", "content": [{"type": "text", "text": "What is this?"}, sound]}
    (notice,) = kinds(await collect(server.url, [message]), Notice)
    assert (notice.option, notice.message) == ("messages", "the app is sent no input_audio parts")


async def test_images_of_earlier_messages_are_told_to_be_left_out(
    server: FaultServer, chatbot: Any, says: Any, collect: Collect
) -> None:
    chatbot.messages = [says.done([{"role": "assistant", "content": "Me"}]), says.close]
    seen = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    first = {"role": "user", "content": [{"type": "text", "text": "Hi"}, seen]}
    told = kinds(await collect(server.url, [first, *HISTORY[1:]]), Notice)
    assert [(notice.code, notice.option) for notice in told] == [("option-ignored", "image")]
    (kept,) = kinds(await collect(server.url, [first]), ConversationState)
    going = going_on(server.url, kept.state)
    assert kinds(await collect(server.url, [first, *HISTORY[1:]], conversation=going), Notice) == told
