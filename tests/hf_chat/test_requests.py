"""Requests as chat-ui wants them, models as it lists them, conversations as it keeps them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from email.parser import BytesParser
from typing import Any

import pytest

from plugmux.attachments import Attachment
from plugmux.errors import ConfigurationError, InvalidRequestError, MalformedResponseError
from plugmux.messages import messages_from
from plugmux.model import Auth, Capability, Task
from plugmux.session import Session
from plugmux_hf_chat import cohere, plugin
from plugmux_hf_chat._conversation import State, chat_of
from plugmux_hf_chat._wire import (
    creation,
    message_data,
    models_of,
    multipart,
    origin_header,
    prompt_of,
    search_servers,
    settings_with_effort,
    transcript,
)


def test_a_single_message_is_sent_as_it_is_and_the_system_prompt_apart() -> None:
    prompt = prompt_of(messages_from("hi there", system="Be brief."))
    assert (prompt.preprompt, prompt.inputs) == ("Be brief.", "hi there")


def test_several_messages_become_a_transcript() -> None:
    messages = messages_from(
        [
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "1"},
            {"role": "user", "content": "two"},
        ]
    )
    assert prompt_of(messages).inputs == (
        "This is our conversation so far. Answer my last message.\n\nUser: one\n\nAssistant: 1\n\nUser: two"
    )


def test_a_transcript_to_be_continued_ends_with_the_assistants_words() -> None:
    messages = messages_from([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}])
    assert transcript(messages, continue_final=True) == "User: a\n\nAssistant: b"


def test_a_picture_without_a_word_is_sent_with_the_smallest_text_the_server_takes() -> None:
    url = "data:image/png;base64," + base64.b64encode(b"png").decode()
    prompt = prompt_of(
        messages_from([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}])
    )
    assert prompt.inputs == " "
    assert prompt.attachments == (Attachment(name="image.png", mime_type="image/png", data=b"png"),)


def test_parts_of_other_kinds_are_named() -> None:
    content = [{"type": "text", "text": "x"}, {"type": "input_audio", "input_audio": {}}]
    assert prompt_of(messages_from([{"role": "user", "content": content}])).ignored == ("input_audio",)


def test_a_data_url_that_is_not_base64_is_refused() -> None:
    content = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,???"}}]
    with pytest.raises(InvalidRequestError, match="base64"):
        prompt_of(messages_from([{"role": "user", "content": content}]))


def test_nothing_is_sent_that_was_not_asked_for() -> None:
    assert creation("m", None) == {"model": "m"}
    assert message_data(parent="p", generation="g", inputs="x") == {
        "id": "p",
        "generationId": "g",
        "inputs": "x",
        "selectedMcpServerNames": [],
    }


@pytest.mark.parametrize(
    ("extra", "names"),
    [
        ({"selectedMcpServers": [{"name": "mine", "url": "https://mine.example/mcp"}]}, ["Search", "mine"]),
        ({"selectedMcpServers": [{"name": "mine"}], "selectedMcpServerNames": ["other"]}, ["other"]),
        ({"selectedMcpServers": [{"url": "https://x"}, "mine", {"name": 7}]}, ["Search"]),
        ({"selectedMcpServers": "mine"}, ["Search"]),
        ({"timezone": "Europe/Berlin"}, ["Search"]),
    ],
)
def test_the_callers_own_tool_servers_are_selected_too(extra: dict[str, Any], names: list[str]) -> None:
    data = message_data(parent="p", generation="g", inputs="hi", servers=["Search"], extra=extra)
    assert data["selectedMcpServerNames"] == names
    assert data.items() >= extra.items()


def test_a_message_is_a_form_with_base64_files_before_its_data() -> None:
    file = Attachment(name='a "b;c.png', mime_type="image/png", data=b"\x89PNG")
    kind, body = multipart({"inputs": "é"}, [file], boundary="XX")
    form = BytesParser().parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
    files, data = (part for part in form.walk() if not part.is_multipart())
    assert files.get_filename() == "base64;a %22b;c.png"
    assert files.get_content_type() == "image/png"
    assert base64.b64decode(files.get_payload()) == b"\x89PNG"
    assert json.loads(data.get_payload()) == {"inputs": "é"}


def test_a_file_above_ten_megabytes_is_refused_before_it_is_sent() -> None:
    with pytest.raises(InvalidRequestError, match="up to 10 MB"):
        multipart({}, [Attachment(name="big.png", data=bytes(10 * 1024 * 1024 + 1))], boundary="XX")


@pytest.mark.parametrize(
    ("base", "origin"),
    [
        ("https://huggingface.co/chat", "https://huggingface.co"),
        ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
    ],
)
def test_the_origin_is_the_servers_own(base: str, origin: str) -> None:
    assert origin_header(base) == origin


@pytest.mark.parametrize("body", [None, {}, {"json": {}}, {"json": None}, "x", 5])
def test_what_is_no_list_of_models_is_a_typed_error(body: Any) -> None:
    with pytest.raises(MalformedResponseError):
        models_of(body, auth=Auth.NONE)


def test_unlisted_and_nameless_models_are_left_out() -> None:
    models = models_of([{"id": "a"}, {"id": "b", "unlisted": True}, {"id": ""}, {}, None], auth=Auth.NONE)
    assert [model.id for model in models] == ["a"]


def test_a_server_that_still_has_tools_of_its_own_can_draw() -> None:
    (model,) = models_of([{"id": "a", "tools": True}], auth=Auth.NONE)
    assert model.tasks == (Task.CONVERSATIONAL, Task.TEXT_TO_IMAGE)
    assert model.can(Capability.TOOLS) is True


@pytest.mark.parametrize(
    ("facts", "account", "options"),
    [
        ({}, None, {"web_search", "reasoning_effort"}),
        ({"multimodal": True}, None, {"web_search", "reasoning_effort", "image"}),
        ({"supportsTools": False, "supportsReasoning": False}, None, {"reasoning_effort"}),
        ({"supportsTools": True, "supportsReasoning": False}, "huggingface", {"web_search"}),
        ({"supportsReasoning": True}, "huggingface", {"web_search", "reasoning_effort"}),
    ],
)
def test_a_model_takes_the_options_that_do_something_for_it(
    facts: dict[str, bool], account: str | None, options: set[str]
) -> None:
    (model,) = models_of([{"id": "a", **facts}], auth=Auth.NONE, account=account)
    assert model.options == options


@pytest.mark.parametrize("body", [[1], "x", 5, {"json": True}])
def test_what_are_no_settings_is_a_typed_error(body: Any) -> None:
    with pytest.raises(MalformedResponseError):
        settings_with_effort(body, "a", "low")


@pytest.mark.parametrize("body", [None, True, {}, [], [None, {"name": 5}], [{"name": "Hugging Face"}]])
def test_without_a_search_server_none_is_found(body: Any) -> None:
    assert search_servers(body) == []


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"json": None},
        {"conversationId": 5, "conversation": "{"},
        {"nodes": [None]},
        {"nodes": 5},
    ],
)
def test_what_is_no_conversation_is_a_typed_error(body: Any) -> None:
    with pytest.raises(MalformedResponseError):
        chat_of(body)


def test_page_data_is_put_together_from_its_flat_list() -> None:
    flat = [{"messages": 1, "title": 6}, [2], {"id": 3, "from": 4, "ancestors": 5}, "m1", "system", [], "T"]
    chat = chat_of({"type": "data", "nodes": [None, {"type": "data", "data": flat}]}, id="c")
    assert (chat.id, chat.root, [node.role for node in chat.nodes]) == ("c", "m1", ["system"])


@pytest.mark.parametrize(
    "plain",
    [
        None,
        {},
        {"version": 2, "conversation": "c", "parent": "p", "generation": "g"},
        {"version": 1, "parent": 5},
    ],
)
def test_a_state_of_another_shape_counts_as_none(plain: Any) -> None:
    assert State.of(plain) is None


def test_a_state_survives_json() -> None:
    state = State(conversation="c", parent="p", generation="g")
    assert State.of(json.loads(json.dumps(state.to_dict()))) == state


async def test_models_are_listed_from_the_server(box: Any, new_session: Callable[..., Session]) -> None:
    found = {
        model.id: model for model in await plugin.get_models(new_session(f"{box.url}/hf-chat/chat"), None)
    }
    assert found["omni"].default
    assert found["sandbox/vision"].inputs == {"image"}
    assert found["sandbox/plain"].auth is Auth.NONE


async def test_a_name_is_looked_up_whatever_its_case(box: Any, new_session: Callable[..., Session]) -> None:
    session = new_session(f"{box.url}/hf-chat/chat")
    assert [model.id for model in await plugin.get_models(session, "Sandbox/Plain")] == ["sandbox/plain"]
    assert list(await plugin.get_models(session, "nobody/has-this")) == []


async def test_a_server_with_login_says_that_one_is_required(
    box: Any, new_session: Callable[..., Session]
) -> None:
    (model,) = await plugin.get_models(new_session(f"{box.url}/hf-chat/login"), "omni")
    assert model.auth is Auth.REQUIRED


async def test_an_older_server_is_listed_by_its_older_route(
    box: Any, new_session: Callable[..., Session]
) -> None:
    found = await cohere.get_models(new_session(f"{box.url}/hf-chat/older"), None)
    assert [(model.id, model.remote_id) for model in found] == [
        ("CohereLabs/c4ai-command-a-03-2025", "command-a-03-2025"),
        ("sandbox/older-reasoner", "sandbox/older-reasoner"),
    ]


async def test_a_base_url_that_is_none_is_a_typed_error(new_session: Callable[..., Session]) -> None:
    with pytest.raises(ConfigurationError, match="base_url"):
        await plugin.get_models(new_session("huggingface.co/chat"), None)


def test_both_providers_stand_on_a_static_list_with_one_default() -> None:
    for provider in (plugin, cohere):
        assert [model.default for model in provider.static_models({})].count(True) == 1


def test_of_a_server_of_ones_own_nothing_is_known_beforehand() -> None:
    assert plugin.static_models({"base_url": "https://chat.example.com"}) == ()
