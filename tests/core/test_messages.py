"""The door: what callers give is checked once, and what is wrong is named by its path."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest

from plugmux.attachments import Attachment, attachment_from
from plugmux.errors import InvalidInputError
from plugmux.messages import Conversation, Message, ProviderState, messages_from

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20


def test_a_string_is_one_user_message() -> None:
    assert messages_from("hi") == (Message(role="user", content="hi"),)


def test_a_system_prompt_comes_first() -> None:
    assert [m.role for m in messages_from("hi", system="be brief")] == ["system", "user"]


@pytest.mark.parametrize(
    "given",
    [
        {"role": "user", "content": "hi"},
        Message(role="user", content="hi"),
        [{"role": "user", "content": "hi"}],
        ({"role": "user", "content": "hi", "unknown": 1},),
        iter([Message(role="user", content="hi")]),
    ],
)
def test_dicts_messages_and_any_iterable_of_them_are_taken(given: Any) -> None:
    assert messages_from(given) == (Message(role="user", content="hi"),)


def test_tool_calls_and_their_answers_are_kept() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    plain = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "42", "tool_call_id": "1"},
    ]
    assert [message.to_dict() for message in messages_from(plain)] == plain


def test_the_text_of_parts_is_theirs_joined() -> None:
    parts = (
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {"url": "x"}},
        {"type": "text", "text": "b"},
    )
    assert Message(role="user", content=parts).text == "a\nb"


USER = {"role": "user", "content": "hi"}


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ("", "messages"),
        ("  \n\t", "messages"),
        ([], "messages"),
        (None, "messages"),
        (7, "messages"),
        (b"hi", "messages"),
        ([USER, "hi"], "messages[1]"),
        ([{"content": "hi"}], "messages[0].role"),
        ([USER, {"role": "robot", "content": "hi"}], "messages[1].role"),
        ([{"role": ["user"], "content": "hi"}], "messages[0].role"),
        ([{"role": "user"}], "messages[0].content"),
        ([{"role": "user", "content": 7}], "messages[0].content"),
        ([{"role": "user", "content": b"hi"}], "messages[0].content"),
        ([{"role": "user", "content": {"a": 1}}], "messages[0].content"),
        ([{"role": "user", "content": ["hi"]}], "messages[0].content[0]"),
        ([{"role": "user", "content": [{"text": "hi"}]}], "messages[0].content[0]"),
        ([{"role": "user", "content": [{"type": "text"}]}], "messages[0].content[0].text"),
        ([{"role": "user", "content": [{"type": "text", "text": " "}]}], "messages"),
        ([{"role": "user", "content": "hi", "name": 7}], "messages[0].name"),
        ([{"role": "assistant", "tool_calls": "f"}], "messages[0].tool_calls"),
        ([{"role": "assistant", "tool_calls": ["f"]}], "messages[0].tool_calls"),
        ([{"role": "assistant", "tool_calls": 7}], "messages[0].tool_calls"),
        ([{"role": "tool", "content": "x", "tool_call_id": 7}], "messages[0].tool_call_id"),
        ([{"role": "system", "content": ""}, {"role": "user", "content": ""}], "messages"),
        ("caf\udce9", "messages"),
        ([{"role": "user", "content": "caf\udce9"}], "messages[0].content"),
        ([{"role": "user", "content": [{"type": "text", "text": "\ud83d"}]}], "messages[0].content[0].text"),
        ([{"role": "user", "content": "hi", "name": "\udcff"}], "messages[0].name"),
        (Message(role="user", content="caf\udce9"), "messages.content"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(given: Any, field: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        messages_from(given)
    assert caught.value.field == field
    assert str(caught.value).startswith(field)


def test_what_cannot_be_sent_as_utf_8_is_shown_with_its_place() -> None:
    with pytest.raises(InvalidInputError, match=r"the character '\\udce9' at 3 cannot be sent as UTF-8"):
        messages_from("caf\udce9")


@pytest.mark.parametrize("system", [7, "caf\udce9"])
def test_a_wrong_system_prompt_is_named(system: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"^system: "):
        messages_from("hi", system=system)


@pytest.mark.parametrize("text", ["café", "日本語", "👍🏽"])
def test_text_in_any_script_is_taken_as_it_is(text: str) -> None:
    assert messages_from(text, system=text)[0].text == text


def test_an_attachment_of_bytes_knows_its_type_by_its_content() -> None:
    given = attachment_from(PNG, field="image")
    assert (given.mime_type, given.data) == ("image/png", PNG)
    assert given.data_url == f"data:image/png;base64,{base64.b64encode(PNG).decode()}"


def test_an_attachment_of_a_path_has_the_files_name(tmp_path: Path) -> None:
    path = tmp_path / "fox.png"
    path.write_bytes(PNG)
    for given in (path, str(path)):
        assert attachment_from(given, field="image").name == "fox.png"


def test_an_attachment_of_an_open_file_is_its_bytes() -> None:
    assert attachment_from(io.BytesIO(PNG), field="image").data == PNG


def test_an_unknown_content_goes_by_the_name(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("hello")
    assert attachment_from(path, field="image").mime_type == "text/plain"


def test_a_url_is_left_for_the_service_to_fetch() -> None:
    given = attachment_from("https://pictures.example/fox.png?size=1", field="image")
    assert (given.name, given.data) == ("fox.png", None)
    assert given.data_url == "https://pictures.example/fox.png?size=1"


def test_a_data_url_is_its_bytes() -> None:
    url = f"data:image/jpeg;base64,{base64.b64encode(PNG).decode()}"
    given = attachment_from(url, field="image")
    assert (given.mime_type, given.data) == ("image/png", PNG)


@pytest.mark.parametrize(
    "given",
    [
        b"",
        "/no/such/file.png",
        "",
        7,
        None,
        io.StringIO("text"),
        "data:image/png;base64",
        "data:image/png;base64,§§§",
        "data:text/plain,hello",
        "name\0with-nul",
    ],
)
def test_an_attachment_that_cannot_be_read_names_its_field(given: object) -> None:
    with pytest.raises(InvalidInputError) as caught:
        attachment_from(given, field="image")
    assert caught.value.field == "image"


def test_a_file_that_was_closed_is_no_attachment() -> None:
    file = io.BytesIO(PNG)
    file.close()
    with pytest.raises(InvalidInputError, match="audio: the file cannot be read"):
        attachment_from(file, field="audio")


def test_a_folder_is_no_attachment(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="cannot read"):
        attachment_from(tmp_path, field="audio")


def test_the_bytes_of_an_attachment_show_in_no_repr() -> None:
    assert "PNG" not in repr(Attachment(data=PNG))


CONVERSATION = Conversation(
    messages=(
        Message(role="user", content="hi"),
        Message(role="assistant", content=({"type": "text", "text": "hello"},), reasoning="hm"),
    ),
    states=(ProviderState(provider="p", model="m", covers=2, state={"id": "1"}),),
)


def test_a_conversation_survives_json() -> None:
    plain = json.loads(json.dumps(CONVERSATION.to_dict()))
    assert plain["version"] == 1
    back = Conversation.from_dict(plain)
    assert back.to_dict() == plain
    assert back.state_of("p", "m") == CONVERSATION.states[0]
    assert back.state_of("p", "other") is None


@pytest.mark.parametrize(
    "damage",
    [
        {"version": 2},
        {"messages": None},
        {"messages": [{"role": "robot", "content": "x"}]},
        {"messages": [7]},
        {"states": [{"provider": "p"}]},
        {"states": [{"provider": "p", "model": "m", "covers": "x", "state": {}}]},
        {"states": 7},
    ],
)
def test_a_damaged_conversation_is_refused_at_the_door(damage: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError) as caught:
        Conversation.from_dict(CONVERSATION.to_dict() | damage)
    assert caught.value.field.startswith("conversation")


@pytest.mark.parametrize("plain", [{}, [], "x", None])
def test_what_is_no_conversation_is_refused(plain: Any) -> None:
    with pytest.raises(InvalidInputError):
        Conversation.from_dict(plain)
