"""One answer from an app by script: what comes out, what goes in, what is told to the server."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from plugmux.errors import (
    DeadlineError,
    InvalidRequestError,
    MalformedResponseError,
    ModelNotFoundError,
    ProviderError,
    ServerError,
    StreamCutError,
)
from plugmux.events import (
    ConversationState,
    Finish,
    Media,
    Notice,
    Preview,
    Progress,
    Reasoning,
    Reset,
    Text,
)
from plugmux.messages import Conversation, ProviderState
from plugmux.model import Model
from plugmux.testing import Close, FaultServer, Hang, Wait, replies

Collect = Callable[..., Any]


def words(events: list[Any]) -> str:
    return "".join(event.text for event in events if isinstance(event, Text))


def kinds(events: list[Any], *wanted: type) -> list[Any]:
    return [event for event in events if isinstance(event, wanted)]


def sent(server: FaultServer, path: str) -> list[Any]:
    return [
        request.json() for request in server.requests if request.path == path and request.method == "POST"
    ]


async def test_text_comes_piece_by_piece_and_ends_with_one_finish(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    script.messages = [
        says.queued,
        says.starts,
        says.generating("Hel"),
        says.heartbeat,
        says.generating([["append", [], "lo"]]),
        says.done("Hello"),
        says.close,
    ]
    events = await collect(server.url)
    assert kinds(events, Progress) == [
        Progress(stage="queued", position=2, eta=4.5),
        Progress(stage="running", eta=1.5),
    ]
    assert kinds(events, Text) == [Text(text="Hel"), Text(text="lo")]
    assert events[-1] == Finish()
    assert len(kinds(events, Finish)) == 1


async def test_a_job_that_ended_is_not_cancelled(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    script.messages = [says.done("Hello"), says.close]
    await collect(server.url)
    assert sent(server, "/gradio_api/cancel") == []


async def test_the_join_carries_every_input(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    script.inputs = [("textbox", "prompt", {}), ("state", "", {}), ("number", "seed", {"value": 1})]
    script.messages = [says.done("Hello"), says.close]
    await collect(server.url, "a fox", seed=7)
    (body,) = sent(server, "/gradio_api/queue/join")
    assert (body["data"], body["fn_index"]) == (["a fox", None, 7.0], 3)
    fetched = next(r for r in server.requests if r.path.startswith("/gradio_api/queue/data"))
    assert fetched.path.endswith(f"?session_hash={body['session_hash']}")
    assert fetched.headers["x-gradio-user"] == "api"


async def test_messages_of_other_jobs_are_left_alone(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    other = {**says.done("not yours"), "event_id": "job-2"}
    script.messages = [other, says.done("Hello"), says.close]
    assert words(await collect(server.url)) == "Hello"


async def test_a_broken_diff_costs_the_pieces_and_not_the_answer(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    script.messages = [
        says.generating("one"),
        says.generating([["delete", [3], None]]),
        says.generating([["append", [], " lost"]]),
        says.done("one two three"),
        says.close,
    ]
    assert kinds(await collect(server.url), Text) == [Text(text="one"), Text(text=" two three")]


async def test_text_that_is_replaced_is_taken_back(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    script.messages = [says.generating("Thinking…"), says.done("Hello"), says.close]
    found = kinds(await collect(server.url), Text, Reset)
    assert found == [Text(text="Thinking…"), Reset(why="the app replaced its text"), Text(text="Hello")]


async def test_sse_v1_gives_whole_values(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    script.protocol = "sse_v1"
    script.messages = [says.generating("one"), says.generating("one two"), says.done("one two"), says.close]
    assert kinds(await collect(server.url), Text) == [Text(text="one"), Text(text=" two")]


async def test_three_malformed_messages_are_skipped_and_told(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    script.messages = [b"data: {half\n\n"] * 3 + [says.done("Hello"), says.close]
    events = await collect(server.url)
    assert words(events) == "Hello"
    assert [n.code for n in kinds(events, Notice)] == ["malformed-chunk"]


async def test_a_fourth_malformed_message_is_a_cut(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    script.messages = [b"data: {half\n\n"] * 4 + [says.done("Hello"), says.close]
    with pytest.raises(StreamCutError, match="malformed"):
        await collect(server.url)


async def test_a_server_killed_in_mid_job_is_a_cut_and_no_answer(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    script.messages = [says.starts, says.generating("Hel")]
    script.after = [Close()]
    with pytest.raises(StreamCutError):
        await collect(server.url)


async def test_a_stream_that_ends_without_a_result_is_a_cut(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    script.messages = [says.starts, says.generating("Hel"), says.close]
    with pytest.raises(StreamCutError, match="before the job was over"):
        await collect(server.url)


async def test_an_answer_that_is_no_stream_is_malformed(
    server: FaultServer, script: Any, collect: Collect
) -> None:
    script.answers["/gradio_api/queue/data"] = replies.html()
    with pytest.raises(MalformedResponseError):
        await collect(server.url)


async def test_an_unknown_session_is_a_cut(server: FaultServer, script: Any, collect: Collect) -> None:
    gone = {
        "msg": "unexpected_error",
        "event_id": None,
        "message": "404: Not Found",
        "session_not_found": True,
    }
    script.messages = [gone]
    script.after = [Close()]
    with pytest.raises(StreamCutError, match="session"):
        await collect(server.url)


async def test_an_error_of_the_app_is_raised_after_what_it_said(
    server: FaultServer, script: Any, says: Any, ask: Collect
) -> None:
    script.messages = [says.generating("one"), says.failed("failed after one", "Error"), says.close]
    seen = []
    stream = await ask(server.url)

    async def read() -> None:
        async for event in stream:
            seen.append(event)  # noqa: PERF401  what came before the error counts

    with pytest.raises(ServerError, match="failed after one"):
        await read()
    assert words(seen) == "one"
    assert not kinds(seen, Finish)


async def test_a_full_queue_is_told(server: FaultServer, script: Any, collect: Collect) -> None:
    full = {"detail": "Queue is full. Max size is 3 and size is 3."}
    script.answers["/gradio_api/queue/join"] = replies.json(full, status=503)
    with pytest.raises(ServerError, match="Queue is full") as caught:
        await collect(server.url)
    assert caught.value.code == "queue-full"
    assert caught.value.retryable


async def test_leaving_a_running_job_tells_the_app(
    server: FaultServer, script: Any, says: Any, ask: Collect
) -> None:
    script.messages = [says.starts, says.generating("one")]
    script.after = [Hang()]
    stream = await ask(server.url)
    async for event in stream:
        if isinstance(event, Text):
            break
    await stream.aclose()
    (body,) = sent(server, "/gradio_api/cancel")
    (join,) = sent(server, "/gradio_api/queue/join")
    assert body == {"session_hash": join["session_hash"], "fn_index": 3, "event_id": "job-1"}


async def test_a_cancelled_caller_tells_the_app(
    server: FaultServer, script: Any, says: Any, ask: Collect
) -> None:
    script.messages = [says.queued]
    script.after = [Hang()]

    async def read() -> None:
        stream = await ask(server.url)
        try:
            async for event in stream:
                if isinstance(event, Progress):
                    tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await stream.aclose()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
    assert len(sent(server, "/gradio_api/cancel")) == 1


async def test_a_caller_who_leaves_before_the_job_has_a_number_takes_it_back_all_the_same(
    server: FaultServer, script: Any, ask: Collect
) -> None:
    script.answers["/gradio_api/queue/join"] = [Hang()]
    stream = await ask(server.url)

    async def read() -> None:
        async for _ in stream:
            pass

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await server.wait_for(3)  # after /config and /info
        tasks.cancel_scope.cancel()
    (join,) = sent(server, "/gradio_api/queue/join")
    left = [r.path for r in server.requests if r.path.startswith("/gradio_api/queue/data")]
    assert left == [f"/gradio_api/queue/data?session_hash={join['session_hash']}"]


async def test_a_refused_job_is_not_taken_back(server: FaultServer, script: Any, collect: Collect) -> None:
    script.answers["/gradio_api/queue/join"] = replies.json({"detail": "no"}, status=400)
    with pytest.raises(InvalidRequestError):
        await collect(server.url)
    assert server.requests[-1].path.endswith("/queue/join")


async def test_a_cancel_that_fails_does_not_hide_the_error(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    script.answers["/gradio_api/cancel"] = replies.json({}, status=500)
    script.messages = [says.starts]
    script.after = [Close()]
    with pytest.raises(StreamCutError):
        await collect(server.url)


async def test_a_queue_has_its_deadline(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    script.messages = [says.queued]
    script.after = [Hang()]
    with pytest.raises(DeadlineError) as caught:
        await collect(server.url, settings={"queue_limit": 0.2})
    assert (caught.value.limit, caught.value.seconds) == ("queue", 0.2)
    assert len(sent(server, "/gradio_api/cancel")) == 1


async def test_work_has_its_deadline_even_if_the_app_talks_for_ever(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    script.messages = [says.starts, *[says.generating(f"{i}") for i in range(2)], *[says.heartbeat] * 1000]
    script.pause = 0.01
    with pytest.raises(DeadlineError) as caught:
        await collect(server.url, settings={"run_limit": 0.3})
    assert caught.value.limit == "run"
    assert len(sent(server, "/gradio_api/cancel")) == 1


async def test_a_slow_queue_does_not_eat_the_time_for_work(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    first = replies.stream([b'data: {"msg":"process_starts","event_id":"job-1"}\n\n'], after=[Wait(0.3)])
    done = f"data: {json.dumps({**says.done('Hello'), 'event_id': 'job-1'})}\n\n".encode()
    rest = [replies.Send(replies.chunk(done)), replies.Send(b"0\r\n\r\n")]
    script.answers["/gradio_api/queue/data"] = [*first, *rest]
    assert words(await collect(server.url, settings={"queue_limit": 0.2, "run_limit": 5})) == "Hello"


# Files


@pytest.fixture
def painter(script: Any) -> Any:
    script.outputs = [("image", "Result", {}), ("number", "Seed", {})]
    return script


async def test_a_picture_comes_from_its_path_and_not_from_its_address(
    server: FaultServer, painter: Any, says: Any, collect: Collect, picture: bytes
) -> None:
    painter.files = {"/tmp/out%20put.png": picture}
    wrong = says.file("/tmp/out put.png", "http://127.0.0.1:1/file=/tmp/out.png")
    painter.messages = [says.done(wrong, 42), says.close]
    events = await collect(server.url, "a fox")
    (media,) = kinds(events, Media)
    assert (media.data, media.mime_type, media.prompt) == (picture, "image/png", "a fox")
    assert kinds(events, Notice) == [Notice(code="result", message="Seed: 42")]


async def test_a_picture_may_come_as_an_update_of_its_component(
    server: FaultServer, painter: Any, says: Any, collect: Collect, picture: bytes
) -> None:
    painter.files = {"/tmp/a.png": picture}
    changed = {"__type__": "update", "visible": True, "value": says.file("/tmp/a.png")}
    painter.messages = [says.done(changed, {"__type__": "update", "value": 42}), says.close]
    events = await collect(server.url)
    (media,) = kinds(events, Media)
    assert media.data == picture
    assert kinds(events, Notice) == [Notice(code="result", message="Seed: 42")]


async def test_an_update_without_a_value_leaves_what_was_there(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    unchanged = {"__type__": "update", "interactive": True}
    script.messages = [
        says.generating("Hel"),
        says.generating([["append", [], "lo"]]),
        says.generating([["replace", [], unchanged]]),
        says.done(unchanged),
        says.close,
    ]
    events = await collect(server.url)
    assert kinds(events, Text, Reset) == [Text(text="Hel"), Text(text="lo")]


async def test_previews_come_before_the_picture_and_the_last_is_not_fetched_twice(
    server: FaultServer, painter: Any, says: Any, collect: Collect, picture: bytes
) -> None:
    painter.files = {"/tmp/1.png": picture, "/tmp/2.png": picture}
    painter.messages = [
        says.generating(says.file("/tmp/1.png"), 42),
        says.generating([["replace", ["path"], "/tmp/2.png"]], []),
        says.done(says.file("/tmp/2.png"), 42),
        says.close,
    ]
    events = await collect(server.url, settings={"preview_gap": 0})
    assert [type(event) for event in kinds(events, Preview, Media)] == [Preview, Preview, Media]
    fetched = [r.path for r in server.requests if "file=" in r.path]
    assert len(fetched) == 2


async def test_previews_can_be_switched_off(
    server: FaultServer, painter: Any, says: Any, collect: Collect, picture: bytes
) -> None:
    painter.files = {"/tmp/2.png": picture}
    painter.messages = [says.generating(says.file("/tmp/1.png"), 4), says.done(says.file("/tmp/2.png"), 4)]
    events = await collect(server.url, settings={"preview_gap": -1})
    assert not kinds(events, Preview)
    assert len(kinds(events, Media)) == 1


async def test_a_preview_that_cannot_be_had_does_not_fail_the_job(
    server: FaultServer, painter: Any, says: Any, collect: Collect, picture: bytes
) -> None:
    painter.files = {"/tmp/2.png": picture}
    painter.messages = [says.generating(says.file("/tmp/gone.png"), 4), says.done(says.file("/tmp/2.png"), 4)]
    assert len(kinds(await collect(server.url), Media)) == 1


HOSTILE = [
    ("/etc/passwd", None, "does not give out"),
    (None, "http://169.254.169.254/latest/meta-data", "private address"),
    ("http://169.254.169.254/latest", None, "private address"),
    ("http://127.0.0.1:1/x", None, "private address"),
    (None, "file:///etc/passwd", "bad"),
    (None, "data:image/png;base64,!!!", "broken base64"),
]


@pytest.mark.parametrize(("path", "url", "said"), HOSTILE)
async def test_a_hostile_result_is_refused(
    server: FaultServer, painter: Any, says: Any, collect: Collect, path: Any, url: Any, said: str
) -> None:
    painter.messages = [says.done(says.file(path, url), 4), says.close]
    with pytest.raises(MalformedResponseError, match=said):
        await collect(server.url)


async def test_the_address_of_a_stream_stays_at_the_app(
    server: FaultServer, painter: Any, says: Any, collect: Collect
) -> None:
    painter.messages = [says.done(says.file("x", "@169.254.169.254/x", stream=True), 4), says.close]
    with pytest.raises(MalformedResponseError, match="does not give out"):
        await collect(server.url)
    assert server.requests[-1].path == "/@169.254.169.254/x"


async def test_a_stream_of_an_app_below_a_path_is_found(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    script.root = "/below"
    script.outputs = [("audio", "Sound", {"streaming": True})]
    sound = says.file("s/r/5", f"{server.url}/below/gradio_api/stream/s/r/5", stream=True)
    script.messages = [says.done(sound), says.close]
    script.answers["/gradio_api/stream/s/r/5"] = replies.answer(b"sound", content_type="audio/wav")
    (media,) = kinds(await collect(f"{server.url}/below"), Media)
    assert media.data == b"sound"


async def test_a_sound_in_pieces_is_joined(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    script.outputs = [("audio", "Sound", {"streaming": True})]
    pieces = says.file(
        "s/r/5/playlist.m3u8", f"{server.url}/gradio_api/stream/s/r/5/playlist.m3u8", stream=True
    )
    script.messages = [says.generating(pieces), says.done(pieces), says.close]
    playlist = "#EXTM3U\n#EXTINF:0.5,\none.aac\n#EXTINF:0.5,\ntwo.aac\n#EXT-X-ENDLIST\n"
    script.answers |= {
        "/gradio_api/stream/s/r/5/playlist.m3u8": replies.answer(playlist),
        "/gradio_api/stream/s/r/5/one.aac": replies.answer(b"\xff\xf1one"),
        "/gradio_api/stream/s/r/5/two.aac": replies.answer(b"\xff\xf1two"),
    }
    (media,) = kinds(await collect(server.url), Media)
    assert (media.data, media.mime_type) == (b"\xff\xf1one\xff\xf1two", "audio/aac")


PLAYLISTS = [
    ("#EXTM3U\nhttp://169.254.169.254/x.aac\n", "another host"),
    ("#EXTM3U\n//evil.example/x.aac\n", "another host"),
    ("#EXTM3U\n", "0 pieces"),
    ("<html>", "is none"),
    ("#EXTM3U\n" + "x.aac\n" * 5001, "5,001 pieces"),
]


@pytest.mark.parametrize(("playlist", "said"), PLAYLISTS)
async def test_a_hostile_playlist_is_refused(
    server: FaultServer, script: Any, says: Any, collect: Collect, playlist: str, said: str
) -> None:
    script.outputs = [("audio", "Sound", {"streaming": True})]
    script.messages = [says.done(says.file("x", "/a/playlist.m3u8", stream=True)), says.close]
    script.answers["/a/playlist.m3u8"] = replies.answer(playlist)
    with pytest.raises(MalformedResponseError, match=said):
        await collect(server.url)


async def test_a_result_that_is_no_picture_is_told(
    server: FaultServer, painter: Any, says: Any, collect: Collect
) -> None:
    painter.messages = [says.done(None, 4), says.close]
    with pytest.raises(ProviderError, match="no image"):
        await collect(server.url)


async def test_an_image_is_uploaded_and_named(
    server: FaultServer, painter: Any, says: Any, collect: Collect, picture: bytes
) -> None:
    painter.inputs = [("image", "input_image", {}), ("textbox", "prompt", {})]
    painter.files = {"/tmp/2.png": picture}
    painter.messages = [says.done(says.file("/tmp/2.png"), 4), says.close]
    data = "data:image/png;base64," + __import__("base64").b64encode(picture).decode()
    message = {
        "role": "user",
        "content": [{"type": "text", "text": "invert"}, {"type": "image_url", "image_url": {"url": data}}],
    }
    await collect(server.url, [message])
    (join,) = sent(server, "/gradio_api/queue/join")
    assert join["data"][0]["path"] == "/tmp/gradio/in.png"
    assert join["data"][0]["meta"] == {"_type": "gradio.FileData"}
    assert join["data"][1] == "invert"
    upload = next(r for r in server.requests if r.path == "/gradio_api/upload")
    assert picture in upload.body


async def test_a_file_that_is_too_large_is_refused_before_it_is_sent(
    server: FaultServer, painter: Any, collect: Collect, picture: bytes
) -> None:
    painter.inputs = [("image", "input_image", {}), ("textbox", "prompt", {})]
    painter.more = {"max_file_size": 10}
    data = "data:image/png;base64," + __import__("base64").b64encode(picture).decode()
    message = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": data}}]}
    with pytest.raises(InvalidRequestError, match="the app takes 10") as caught:
        await collect(server.url, [message], task="image-to-image")
    assert caught.value.param == "image"
    assert not [r for r in server.requests if r.path == "/gradio_api/upload"]


# Chats


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


# Changes, and wrong asks


async def test_a_job_that_failed_has_the_app_read_anew(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    script.messages = [says.failed(None), says.close]
    with pytest.raises(ServerError):
        await collect(server.url)
    script.messages = [says.done("Hello"), says.close]
    assert words(await collect(server.url)) == "Hello"
    assert len([r for r in server.requests if r.path == "/config"]) == 2


async def test_a_description_is_read_once_for_many_jobs(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    script.messages = [says.done("Hello"), says.close]
    await collect(server.url)
    await collect(server.url)
    assert len([r for r in server.requests if r.path == "/config"]) == 1


@pytest.mark.parametrize("url", ["/etc/passwd", "file:///etc/passwd", "ftp://x/y.png"])
async def test_a_message_names_no_file_of_this_machine(
    server: FaultServer, painter: Any, collect: Collect, url: str
) -> None:
    painter.inputs = [("image", "input_image", {}), ("textbox", "prompt", {})]
    message = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}
    with pytest.raises(InvalidRequestError, match="wants a data"):
        await collect(server.url, [message])
    assert not [r for r in server.requests if r.path == "/gradio_api/upload"]


async def test_an_image_at_a_private_address_is_not_fetched_for_an_app(
    server: FaultServer, painter: Any, collect: Collect
) -> None:
    painter.inputs = [("image", "input_image", {}), ("textbox", "prompt", {})]
    url = "http://169.254.169.254/latest/meta-data"
    message = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}
    with pytest.raises(InvalidRequestError, match=r"cannot fetch the file to send: .* private address"):
        await collect(server.url, [message])


async def test_of_before_and_after_the_after_is_given(
    server: FaultServer, painter: Any, says: Any, collect: Collect, picture: bytes
) -> None:
    painter.outputs = [("imageslider", "Result", {})]
    painter.files = {"/tmp/after.png": picture}
    painter.messages = [says.done([says.file("/tmp/before.png"), says.file("/tmp/after.png")]), says.close]
    (media,) = kinds(await collect(server.url), Media)
    assert media.url is not None
    assert media.url.endswith("after.png")


async def test_a_changed_schema_is_told_once(
    server: FaultServer, script: Any, says: Any, collect: Collect, open_session: Any
) -> None:
    script.messages = [says.done("Hello"), says.close]
    assert "schema-changed" not in [n.code for n in kinds(await collect(server.url), Notice)]
    script.inputs = [*script.inputs, ("number", "style", {"value": 1})]
    shelf = open_session()._resources._open["hf-space:apps"]
    shelf.forget(await shelf.app(open_session(), server.url))
    changed = kinds(await collect(server.url), Notice)
    assert [notice.code for notice in changed] == ["schema-changed"]
    assert kinds(await collect(server.url), Notice) == []


async def test_a_task_that_the_app_does_not_do_is_named_with_what_it_does(
    server: FaultServer, collect: Collect
) -> None:
    with pytest.raises(InvalidRequestError, match=r"text-to-video.*text-generation"):
        await collect(server.url, task="text-to-video")


async def test_an_endpoint_that_is_not_there_is_named_with_those_that_are(
    server: FaultServer, says: Any, collect: Collect, open_session: Any
) -> None:
    named = Model(id="nope", source="named")
    with pytest.raises(InvalidRequestError, match="no endpoint #nope; it does #run: text-generation"):
        await collect(server.url, model=named, session=open_session(base_url=server.url))


@pytest.mark.parametrize("name", ["run", "org/model"])
async def test_a_name_that_was_passed_through_does_what_the_app_does(
    server: FaultServer,
    painter: Any,
    says: Any,
    collect: Collect,
    open_session: Any,
    picture: bytes,
    name: str,
) -> None:
    painter.files = {"/tmp/1.png": picture}
    painter.messages = [says.done(says.file("/tmp/1.png"), 42), says.close]
    named = Model(id=name, source="named")
    events = await collect(server.url, model=named, session=open_session(base_url=server.url))
    assert len(kinds(events, Media)) == 1


@pytest.fixture
def demanding(script: Any, says: Any) -> Any:
    """An app with a parameter that has no default and means nothing to us."""
    script.inputs = [("textbox", "prompt", {}), ("number", "depth", {})]
    script.messages = [says.done("Hello"), says.close]
    return script


async def test_a_parameter_without_a_default_may_be_given_in_the_extra_body(
    server: FaultServer, demanding: Any, collect: Collect
) -> None:
    assert words(await collect(f"{server.url}#run", "hi", extra_body={"depth": 3})) == "Hello"
    (join,) = sent(server, "/gradio_api/queue/join")
    assert join["data"] == ["hi", 3.0]


async def test_a_parameter_without_a_default_that_nobody_gives_is_named(
    server: FaultServer, demanding: Any, collect: Collect
) -> None:
    with pytest.raises(InvalidRequestError, match=r"#run cannot be called: .* 'depth' has no default"):
        await collect(f"{server.url}#run", "hi")


async def test_what_of_an_override_means_nothing_is_told(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    script.messages = [says.done("Hello"), says.close]
    override = {
        "endpoint": "/nope",
        "parameters": {"text": "negative_prompt"},
        "values": {"stile": "oil"},
    }
    events = await collect(server.url, settings={"overrides": {server.url: override}})
    told = [notice.message for notice in kinds(events, Notice) if notice.code == "override-ignored"]
    assert told == [
        "of the override, endpoint: there is no /nope",
        "of the override, parameters: no parameter is called 'text'",
        "of the override, values: no parameter is called 'stile'",
    ]


async def test_an_override_that_fits_is_not_told(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    script.inputs = [("textbox", "txt", {}), ("textbox", "style", {"value": "ink"})]
    script.messages = [says.done("Hello"), says.close]
    override = {"endpoint": "/run", "parameters": {"txt": "prompt"}, "values": {"style": "oil"}}
    events = await collect(server.url, "hi", settings={"overrides": {server.url: override}})
    assert kinds(events, Notice) == []
    (join,) = sent(server, "/gradio_api/queue/join")
    assert join["data"] == ["hi", "oil"]


async def test_a_page_that_is_no_app_is_told(server: FaultServer, script: Any, collect: Collect) -> None:
    script.answers["/config"] = replies.json({"hello": "world"})
    with pytest.raises(ModelNotFoundError, match="not a Gradio app"):
        await collect(server.url)


async def test_a_page_of_html_is_told(server: FaultServer, script: Any, collect: Collect) -> None:
    script.answers["/config"] = replies.html()
    with pytest.raises(ServerError, match="no Gradio app answers"):
        await collect(server.url)


async def test_an_app_behind_a_login_says_that_it_is(
    server: FaultServer, script: Any, collect: Collect
) -> None:
    script.answers["/config"] = replies.json({"detail": "Not authenticated"}, status=401)
    with pytest.raises(ProviderError, match="Not authenticated"):
        await collect(server.url)


async def test_headers_of_the_caller_go_along(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    script.messages = [says.done("Hello"), says.close]
    await collect(server.url, extra_headers={"x-mine": "yes"})
    join = next(r for r in server.requests if r.path.endswith("/queue/join"))
    assert join.headers["x-mine"] == "yes"
