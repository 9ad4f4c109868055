"""Results, text that grows, histories."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from plugmux.errors import MalformedResponseError
from plugmux.events import Reset, Text
from plugmux.media import MediaKind
from plugmux.messages import Message, messages_from
from plugmux_hf_space._app import app_of
from plugmux_hf_space._history import chatbot_value, flat, injection_of, talk_of, with_rules
from plugmux_hf_space._results import MAX_TEXT, FileData, Growing, files_of, kind_of_file
from plugmux_hf_space._spoken import attached_of, text_of
from plugmux_hf_space._tasks import judge

PNG = {"path": "/tmp/a.png", "url": "http://x/a.png", "meta": {"_type": "gradio.FileData"}}
A = FileData(path="/tmp/a.png", url="http://x/a.png")
FILES = [
    ("a file", PNG, [A]),
    ("a video up to gradio 5", {"video": PNG, "subtitles": None}, [A]),
    ("a gallery", [{"image": PNG, "caption": "one"}, {"image": PNG, "caption": None}], [A, A]),
    ("a slider's pair", [PNG, PNG], [A, A]),
    ("an editor", {"background": PNG, "layers": [], "composite": PNG}, [A]),
    ("a file by its address only", {"url": "http://x/b.png"}, [FileData(url="http://x/b.png")]),
    ("a data url", "data:image/png;base64,AAAA", [FileData(url="data:image/png;base64,AAAA")]),
    ("nothing", None, []),
    ("a text", "no picture today", []),
    ("an empty gallery", [], []),
    ("a file without a place", {"path": None, "url": None}, []),
]


def nested(value: Any, depth: int) -> Any:
    for _ in range(depth):
        value = [value]
    return value


def test_values_are_not_followed_for_ever() -> None:
    deep = nested(PNG, 900)
    assert files_of(deep) == []
    assert text_of([{"role": "assistant", "content": deep}], "chatbot") == ""


@pytest.mark.parametrize(("value", "files"), [row[1:] for row in FILES], ids=[row[0] for row in FILES])
def test_files_are_found_in_every_shape(value: Any, files: list[FileData]) -> None:
    assert files_of(value) == files


TEXTS = [
    ("textbox", "hello", "hello"),
    ("textbox", None, ""),
    ("json", "hello", "hello"),
    ("json", {"a": 1}, '{"a": 1}'),
    ("json", {"text": "hello", "files": []}, "hello"),
    ("json", {"role": "assistant", "content": "hello"}, "hello"),
    ("json", [{"role": "assistant", "content": [{"type": "text", "text": "hello"}]}], "hello"),
    ("chatbot", [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}], "hello"),
    (
        "chatbot",
        [
            {"role": "user", "content": [{"type": "text", "text": "hi"}]},
            {
                "role": "assistant",
                "content": [{"type": "text", "text": "hel"}, {"type": "text", "text": "lo"}],
            },
        ],
        "hello",
    ),
    (
        "chatbot",
        [
            {"role": "assistant", "content": "earlier"},
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "thinking"},
            {"role": "assistant", "content": "hello"},
        ],
        "thinking\nhello",
    ),
    ("chatbot", [["hi", "hello"]], "hello"),
    ("chatbot", [["hi", None]], ""),
    ("chatbot", [{"role": "user", "content": "hi"}], ""),
    ("chatbot", [], ""),
    ("chatbot", None, ""),
]


@pytest.mark.parametrize(("kind", "value", "text"), TEXTS)
def test_the_text_of_an_answer(kind: str, value: Any, text: str) -> None:
    assert text_of(value, kind) == text


SAID = [
    ("a list of texts", ["one", "two"], "one\ntwo", []),
    ("a file message", {"role": "assistant", "content": {"path": "/tmp/a.png"}}, "", ["/tmp/a.png"]),
    ("a file", PNG, "", ["/tmp/a.png"]),
    ("words and a file", ["look", {"file": PNG, "alt_text": None}], "look", ["/tmp/a.png"]),
    ("a multimodal text", {"text": "look", "files": [PNG]}, "look", ["/tmp/a.png"]),
    ("data", {"a": [1, 2]}, '{"a": [1, 2]}', []),
    ("numbers", [1, 2], "[1, 2]", []),
    ("nothing", [], "[]", []),
]


@pytest.mark.parametrize(("value", "text", "paths"), [row[1:] for row in SAID], ids=[row[0] for row in SAID])
def test_what_the_function_of_a_chat_gave(value: Any, text: str, paths: list[str]) -> None:
    assert text_of(value, "json", chat=True) == text
    assert [file.path for file in attached_of(value, "json")] == paths


def test_a_list_of_texts_that_is_no_chat_stays_what_it_is() -> None:
    assert text_of(["one", "two"], "json") == '["one", "two"]'


ASKED = {"role": "user", "content": {"file": {"path": "/tmp/asked.png"}}}
SHOWN = [
    ("gradio 6", [ASKED, {"role": "assistant", "content": [{"type": "file", "file": PNG}]}]),
    ("gradio 5", [ASKED, {"role": "assistant", "content": {"file": PNG, "alt_text": None}}]),
    ("a component", [ASKED, {"role": "assistant", "content": {"component": "image", "value": PNG}}]),
    ("tuples", [["draw", {"file": PNG, "alt_text": None}]]),
]


@pytest.mark.parametrize("value", [row[1] for row in SHOWN], ids=[row[0] for row in SHOWN])
def test_a_chatbots_files_are_those_of_its_last_turn(value: Any) -> None:
    assert attached_of(value, "chatbot") == [A]
    assert text_of(value, "chatbot") == ""


def test_a_file_of_a_thought_is_no_answer() -> None:
    thought = {"role": "assistant", "content": {"file": PNG}, "metadata": {"title": "Looking"}}
    assert attached_of([thought], "chatbot") == []


FILE_KINDS = [
    (FileData(path="/tmp/a.png"), MediaKind.IMAGE),
    (FileData(path="/tmp/a", mime_type="audio/wav"), MediaKind.AUDIO),
    (FileData(url="http://x/a.mp4?x=1"), MediaKind.VIDEO),
    (FileData(path="/tmp/a.pdf"), None),
]


@pytest.mark.parametrize(("file", "kind"), FILE_KINDS)
def test_what_a_file_is(file: FileData, kind: MediaKind | None) -> None:
    assert kind_of_file(file) is kind


def test_only_what_is_new_is_said() -> None:
    growing = Growing()
    assert growing.feed("Hel") == [Text(text="Hel")]
    assert growing.feed("Hello") == [Text(text="lo")]
    assert growing.feed("Hello") == []


def test_a_text_that_does_not_go_on_takes_back_what_was_said() -> None:
    growing = Growing()
    growing.feed("Thinking…")
    assert growing.feed("Hello") == [Reset(why="the app replaced its text"), Text(text="Hello")]
    assert growing.feed("") == [Reset(why="the app replaced its text")]


def test_an_endless_text_is_refused() -> None:
    with pytest.raises(MalformedResponseError):
        Growing().feed("x" * (MAX_TEXT + 1))


TALK = messages_from(
    [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "Who?"},
    ]
)


def test_a_conversation_is_parted() -> None:
    talk = talk_of(TALK)
    assert (talk.prompt, talk.system) == ("Who?", "Be kind.")
    assert [message.text for message in talk.earlier] == ["Hi", "Hello"]


def test_rules_go_before_what_the_user_said_first() -> None:
    begun = with_rules(talk_of(TALK))
    assert [message.text for message in begun.earlier] == ["Be kind.\n\nHi", "Hello"]
    assert begun.prompt == "Who?"
    greeted = with_rules(talk_of([TALK[0], *TALK[2:]]))
    assert [message.text for message in greeted.earlier] == ["Hello"]
    assert greeted.prompt == "Be kind.\n\nWho?"
    assert with_rules(talk_of(TALK[1:])) == talk_of(TALK[1:])


def test_a_flat_conversation_names_who_speaks() -> None:
    assert flat(talk_of(TALK)) == "Be kind.\n\nUser: Hi\n\nAssistant: Hello\n\nUser: Who?\n\nAssistant:"
    assert flat(talk_of(messages_from("Who?"))) == "Who?"


def chatbots(script: Any, version: str, kind: str | None, messages: Any) -> list[Any]:
    described = evolve(script, version=version)
    return chatbot_value(app_of("http://app", described.config(), described.info()), kind, messages)


HI = [
    Message(role="user", content="Hi"),
    Message(role="assistant", content="Ho"),
    Message(role="user", content="Hu"),
]


def test_gradio_6_wants_parts(script: Any) -> None:
    assert chatbots(script, "6.31.0", None, HI[:1]) == [
        {"role": "user", "content": [{"type": "text", "text": "Hi"}]}
    ]


def test_gradio_5_wants_text(script: Any) -> None:
    assert chatbots(script, "5.50.0", "messages", HI[:2]) == [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Ho"},
    ]


def test_a_chatbot_of_tuples_wants_pairs(script: Any) -> None:
    assert chatbots(script, "4.44.1", "tuples", HI) == [["Hi", "Ho"], ["Hu", None]]


def test_the_pages_own_event_for_the_history_is_found(script: Any) -> None:
    parts = [("textbox", "message", {}), ("state", "", {})]
    described = evolve(script, inputs=parts, outputs=[("json", "Response", {})], mode="chat_interface")
    config = described.config()
    config["components"].append({"id": 9, "type": "chatbot", "props": {}})
    config["dependencies"].append(
        {"id": 8, "api_name": "lambda", "inputs": [9], "outputs": [1], "api_visibility": "undocumented"}
    )
    app = app_of("http://app", config, described.info())
    found = injection_of(app, judge(app)[0])
    assert found is not None
    assert found.id == 8


def test_an_app_without_that_event_has_none(script: Any) -> None:
    app = app_of("http://app", script.config(), script.info())
    assert injection_of(app, judge(app)[0]) is None
