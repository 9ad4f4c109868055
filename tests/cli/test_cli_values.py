"""The pure parts of the command line: words, options, tables, JSON, tokens, the last chat."""

from __future__ import annotations

import io
import json
import os

import pytest

from plugmux import (
    AllProvidersFailedError,
    ConfigurationError,
    Conversation,
    InvalidInputError,
    Message,
    NoRouteError,
    PluginError,
    RateLimitError,
)
from plugmux.cli.asking import Question, pinned, separate
from plugmux.cli.exits import Exit, exit_of
from plugmux.cli.jsonlines import as_plain, event_object, line
from plugmux.cli.last_chat import Chat, LastChat, instructed
from plugmux.cli.options import option_values, policy_values
from plugmux.cli.prompts import as_utf8, attachment_part, piped_text, prompt_from, user_message
from plugmux.cli.tables import aligned
from plugmux.cli.terminal import Terminal, visible
from plugmux.cli.words import model_and_prompt
from plugmux.credentials import Secret
from plugmux.events import (
    Attempt,
    ConversationState,
    Finish,
    Media,
    MediaKind,
    Notice,
    Progress,
    Reasoning,
    Reset,
    ServedBy,
    Source,
    Sources,
    Text,
    Usage,
)
from plugmux.logins import StoredTokens, keeper_of, settings_with
from plugmux.model import Capability
from plugmux.settings import Settings


class FakeScreen(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminal(screen: bool = False, **environ: str) -> Terminal:
    stream = FakeScreen if screen else io.StringIO
    return Terminal(out=stream(), err=stream(), environ={"TERM": "xterm", **environ})


@pytest.mark.parametrize(
    ("words", "models", "known", "read"),
    [
        ([], [], None, ((), None)),
        (["m"], [], None, (("m",), None)),
        (["m", "p"], [], None, (("m",), "p")),
        (["p q"], [], None, ((), "p q")),
        (["p"], ["m", "n"], None, (("m", "n"), "p")),
        (["p"], [], ["old"], (("old",), "p")),
        (["m", "p"], [], ["old"], (("m",), "p")),
        ([], [], ["old"], (("old",), None)),
    ],
)
def test_words_are_a_model_a_prompt_or_both(words, models, known, read) -> None:
    assert model_and_prompt(words, models, known=known) == read


@pytest.mark.parametrize(("words", "models"), [(["a", "b", "c"], []), (["a", "b"], ["m"])])
def test_too_many_words_are_refused(words, models) -> None:
    with pytest.raises(InvalidInputError, match="quotation marks"):
        model_and_prompt(words, models)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("temperature=0.5", {"temperature": 0.5}),
        ("max-tokens=7", {"max_tokens": 7}),
        ('stop=["a", "b"]', {"stop": ["a", "b"]}),
        ("stop=END", {"stop": "END"}),
        ("web_search=true", {"web_search": True}),
        ("voice=1", {"voice": "1"}),
        ("negative_prompt=null", {"negative_prompt": "null"}),
        ("negative_prompt=", {"negative_prompt": ""}),
        ("extra_body.top_k=5", {"extra_body": {"top_k": 5}}),
        ("extra_headers.X-A=b=c", {"extra_headers": {"X-A": "b=c"}}),
        ("extra_headers.X-A=1", {"extra_headers": {"X-A": "1"}}),
    ],
)
def test_an_option_is_json_where_it_can_be_and_text_where_it_must(word, value) -> None:
    assert option_values([word]) == value


@pytest.mark.parametrize("word", ["temperature", "=1", "", "stop=1\0stop.a=2"])
def test_an_option_that_is_none_is_refused(word) -> None:
    with pytest.raises(InvalidInputError, match=r"^-o: "):
        option_values(word.split("\0"))


@pytest.mark.parametrize("name", ["model", "messages"])
def test_an_argument_is_no_option(name) -> None:
    with pytest.raises(InvalidInputError, match="it is an argument, and no option"):
        option_values([f"{name}=x"])


def test_the_same_table_may_be_given_piece_by_piece() -> None:
    assert option_values(["extra_body.a=1", "extra_body.b=2"]) == {"extra_body": {"a": 1, "b": 2}}


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("order=together, novita", {"order": ["together", "novita"]}),
        ('only=["a"]', {"only": ["a"]}),
        ("on_break=error", {"on_break": "error"}),
        ("allow_fallbacks=false", {"allow_fallbacks": False}),
    ],
)
def test_a_policy_word_may_be_a_list(word, value) -> None:
    assert policy_values([word]) == value


@pytest.mark.parametrize(
    ("providers", "models", "policy"),
    [
        ([], ("m",), {}),
        (["local"], ("local::m",), {}),
        (["hf-inference"], ("hf-inference::m",), {}),
        (["together"], ("m",), {"only": ["together"]}),
        (["hf-media/fal-ai"], ("m",), {"only": ["hf-media/fal-ai"]}),
        (["a", "b"], ("m",), {"only": ["a", "b"]}),
    ],
)
def test_p_pins_a_provider_or_restricts_the_policy(providers, models, policy) -> None:
    question = pinned(Question(models=("m",), message="?"), providers)
    assert (question.models, dict(question.policy)) == (models, policy)


def test_a_name_that_is_pinned_already_stays() -> None:
    assert pinned(Question(models=("x::m",), message="?"), ["local"]).models == ("x::m",)


def test_what_the_command_line_says_wins_over_the_configuration() -> None:
    question = Question(message="?", policy={"sort": "price"}).under({"sort": "latency", "ignore": ["x"]})
    assert question.policy == {"sort": "price", "ignore": ["x"]}


def test_only_what_was_given_is_passed_on() -> None:
    assert Question(message="?").arguments() == {}


@pytest.mark.parametrize("count", [0, -1, True, "two", 1.5])
def test_a_wrong_number_of_results_is_refused(count) -> None:
    with pytest.raises(InvalidInputError, match=r"^n: "):
        separate(Question(message="?", options={"n": count}))


@pytest.mark.parametrize(
    ("argument", "piped", "prompt"),
    [("a", None, "a"), (None, "b\n", "b"), ("a", "b\n", "a\n\nb"), ("a", " \n", "a")],
)
def test_a_prompt_comes_from_arguments_and_pipe(argument, piped, prompt) -> None:
    assert prompt_from(argument, piped, terminal()) == prompt


def test_no_prompt_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="nothing to ask"):
        prompt_from(None, "\n", terminal())


def test_a_silent_pipe_is_mentioned_and_then_read() -> None:
    read, write = os.pipe()
    asked = terminal()
    asked.err.write = lambda text: os.close(write)  # the note is the sign to end it
    with os.fdopen(read) as pipe:
        assert piped_text(pipe, asked, wanted=False, patience=0) == ""


def test_a_device_is_not_read() -> None:
    with open(os.devnull) as device:
        assert piped_text(device, terminal(), wanted=False) is None


def test_bytes_that_are_no_utf_8_are_replaced_with_a_word() -> None:
    asked = terminal()
    assert as_utf8("- caf\udce9\n+ café\n", "the prompt", asked) == "- caf\ufffd\n+ café\n"
    assert "the prompt is not all UTF-8" in asked.err.getvalue()


def test_text_in_utf_8_passes_without_a_word() -> None:
    asked = terminal()
    assert as_utf8("café \0 \ufffd", "the prompt", asked) == "café \0 \ufffd"
    assert asked.err.getvalue() == ""


def test_utf_8_that_the_locale_did_not_decode_passes_without_a_word() -> None:
    asked = terminal()
    assert as_utf8("caf\udcc3\udca9", "the prompt", asked) == "café"
    assert asked.err.getvalue() == ""


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="not text"):
        as_utf8("\udcff\udcd8\udcff\0", "the prompt", terminal())


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        (
            "a.png",
            b"\x89PNG\r\n\x1a\n",
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        ),
        ("a.mp3", b"ID3", {"type": "input_audio", "input_audio": {"data": "SUQz", "format": "mp3"}}),
        (
            "a.mp4",
            b"\0\0\0\0ftypmp42",
            {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAAAGZ0eXBtcDQy"}},
        ),
    ],
)
def test_an_attached_file_becomes_a_part_of_its_kind(tmp_path, name, content, part) -> None:
    (tmp_path / name).write_bytes(content)
    assert attachment_part(str(tmp_path / name)) == part


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://example.org/a.mp3", "audio_url"),
        ("https://example.org/a.mp4", "video_url"),
        ("https://example.org/a.webp?size=1", "image_url"),
        ("https://example.org/picture", "image_url"),
    ],
)
def test_an_attached_url_becomes_a_part_of_its_kind(url, kind) -> None:
    assert attachment_part(url) == {"type": kind, kind: {"url": url}}


def test_what_is_no_picture_sound_or_film_is_refused(tmp_path) -> None:
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(InvalidInputError, match="only pictures, sounds and films"):
        attachment_part(str(tmp_path / "a.txt"))


def test_a_message_without_attachments_is_text() -> None:
    assert user_message("Hi", []).content == "Hi"


def test_columns_begin_at_the_same_place_and_nothing_is_cut() -> None:
    assert aligned([("a", "b"), ("猫", "c"), ("long one", "")]) == ["a         b", "猫        c", "long one"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\n", "a\tb\n"),
        ("\x1b[31m", "[31m"),
        ("a\r\nb", "a\nb"),
        ("\x9b31m\x07\x08", "31m"),
        ("é猫", "é猫"),
    ],
)
def test_control_characters_reach_no_screen(text, shown) -> None:
    assert visible(text) == shown


def test_a_pipe_gets_no_colour() -> None:
    written = terminal()
    written.note("careful", "yellow")
    assert written.err.getvalue() == "careful\n"


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_screen_gets_no_colour_where_it_is_not_wanted(environ) -> None:
    written = terminal(screen=True, **environ)
    written.note("careful", "yellow")
    assert written.err.getvalue() == "careful\n"


def test_a_screen_gets_colour() -> None:
    written = terminal(screen=True)
    written.note("careful", "yellow")
    assert written.err.getvalue() == "\x1b[33mcareful\x1b[0m\n"


PICTURE = Media.from_bytes(b"\x89PNG\r\n\x1a\n", kind=MediaKind.IMAGE, url="data:image/png;base64,AAAA")


@pytest.mark.parametrize(
    ("event", "plain"),
    [
        (Text(text="é"), {"event": "text", "text": "é"}),
        (Reasoning(text="hm"), {"event": "reasoning", "text": "hm"}),
        (Progress(stage="queued", position=0), {"event": "progress", "stage": "queued", "position": 0}),
        (ServedBy(upstream="x"), {"event": "served_by", "upstream": "x"}),
        (Sources(sources=(Source(url="u"),)), {"event": "sources", "sources": [{"url": "u"}]}),
        (Usage(prompt_tokens=1), {"event": "usage", "prompt_tokens": 1}),
        (Finish(), {"event": "finish", "reason": "stop"}),
        (Reset(why="cut"), {"event": "reset", "why": "cut"}),
        (Notice(code="c", message="m"), {"event": "notice", "code": "c", "message": "m"}),
        (
            Attempt(number=1, provider="p", model="m"),
            {"event": "attempt", "number": 1, "provider": "p", "model": "m"},
        ),
        (ConversationState(state={"cookie": "x"}), {"event": "conversation_state"}),
        (PICTURE, {"event": "media", "kind": "image", "mime_type": "image/png", "size": 8}),
    ],
)
def test_an_event_is_one_object(event, plain) -> None:
    assert event_object(event) == plain


def test_what_an_object_knows_is_named_as_its_value_is() -> None:
    assert as_plain({Capability.VISION: True}) == {"vision": True}


def test_an_object_is_one_line_whatever_is_in_it() -> None:
    assert line({"text": "a\nb\u2028é"}).count("\n") == 1
    assert json.loads(line({"text": "a\nb"})) == {"text": "a\nb"}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidInputError("x", field="y"), 2),
        (ConfigurationError("x"), 2),
        (NoRouteError("x"), 3),
        (AllProvidersFailedError("x"), 1),
        (RateLimitError("x"), 1),
        (PluginError("x", plugin="y"), 4),
        (PermissionError(13, "denied"), 4),
        (KeyboardInterrupt(), 130),
        (BrokenPipeError(), 141),
    ],
)
def test_each_error_has_its_exit_code(error, code) -> None:
    assert exit_of(error) is Exit(code)


TALK = Conversation(messages=(Message(role="system", content="a"), Message(role="user", content="b")))


@pytest.mark.parametrize(("system", "contents"), [(None, ["a", "b"]), ("c", ["c", "b"]), ("", ["b"])])
def test_a_conversation_is_put_under_another_system_message(system, contents) -> None:
    assert [message.content for message in instructed(TALK, system).messages] == contents


def test_the_last_chat_comes_back_as_it_was_kept(tmp_path) -> None:
    chat = Chat(models=("m", "n"), conversation=TALK)
    assert LastChat(tmp_path / "new").save(chat) is None
    assert LastChat(tmp_path / "new").load() == chat


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"version": 2}',
        b'{"version": 1, "models": 3, "conversation": {}}',
        b"\xff\xfe",
    ],
)
def test_a_damaged_last_chat_is_set_aside(tmp_path, content) -> None:
    last = LastChat(tmp_path)
    last.path.write_bytes(content)
    assert last.load() == Chat()
    assert "set aside" in (last.problem or "")
    assert (tmp_path / "last-chat.json.damaged").read_bytes() == content
    with pytest.raises(ConfigurationError, match="no last chat"):
        last.load()


def settings(tmp_path, **environ: str) -> Settings:
    return Settings.load({"PLUGMUX_HOME": str(tmp_path), **environ})


@pytest.mark.parametrize("provider", ["hf-inference", "hf-media", "hf-space"])
def test_one_login_is_for_all_that_take_the_hubs_token(tmp_path, provider) -> None:
    kept = {keeper_of("hf-media"): Secret("t-1")}
    assert settings_with(settings(tmp_path), kept).for_provider(provider)["token"] == "t-1"


def test_the_hubs_kept_token_goes_to_nobody_else(tmp_path) -> None:
    kept = {keeper_of("hf-inference"): Secret("t-1")}
    assert "token" not in settings_with(settings(tmp_path), kept).for_provider("acme")


@pytest.mark.parametrize("variable", ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"])
def test_the_hubs_variables_win_over_the_kept_token(tmp_path, variable) -> None:
    given = settings(tmp_path, **{variable: "t-2"})
    kept = {keeper_of("hf-inference"): Secret("t-1")}
    assert "token" not in settings_with(given, kept).for_provider("hf-inference")


def test_the_configuration_file_wins_over_the_kept_token(tmp_path) -> None:
    (tmp_path / "config.toml").write_text('[providers.acme]\ntoken = "t-2"\n')
    given = settings_with(settings(tmp_path), {"acme": Secret("t-1")})
    assert given.for_provider("acme")["token"] == "t-2"


def test_tokens_are_kept_and_forgotten_one_by_one(tmp_path) -> None:
    tokens = StoredTokens(tmp_path)
    tokens.keep("a", Secret("t-1"))
    tokens.keep("b", Secret("t-2"))
    assert tokens.forget("a")
    assert not tokens.forget("a")
    assert tokens.load() == {"b": Secret("t-2")}


@pytest.mark.parametrize(
    "content", ["", "[]", '{"tokens": 3}', '{"tokens": {"a": 3}}', '{"tokens": {"a": "b\\n"}}']
)
def test_damaged_tokens_are_set_aside(tmp_path, content) -> None:
    tokens = StoredTokens(tmp_path)
    tokens.path.write_text(content)
    assert tokens.load() == {}
    assert "set aside" in (tokens.problem or "")
