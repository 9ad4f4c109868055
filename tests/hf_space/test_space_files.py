"""Pictures and sounds: how they come from an app, and how they go there."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from plugmux.attachments import Attachment
from plugmux.errors import InvalidRequestError, MalformedResponseError, ProviderError
from plugmux.events import Media, Notice, Preview, Reset, Text
from plugmux.testing import FaultServer, replies

Collect = Callable[..., Any]


def kinds(events: list[Any], *wanted: type) -> list[Any]:
    return [event for event in events if isinstance(event, wanted)]


def sent(server: FaultServer, path: str) -> list[Any]:
    return [
        request.json() for request in server.requests if request.path == path and request.method == "POST"
    ]


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
    data = "data:image/png;base64," + base64.b64encode(picture).decode()
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
    data = "data:image/png;base64," + base64.b64encode(picture).decode()
    message = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": data}}]}
    with pytest.raises(InvalidRequestError, match="the app takes 10") as caught:
        await collect(server.url, [message], task="image-to-image")
    assert caught.value.param == "image"
    assert not [r for r in server.requests if r.path == "/gradio_api/upload"]


@pytest.mark.parametrize(
    ("sound", "why"),
    [
        (Attachment(name="a.wav", mime_type="audio/wav", data=b"RIFF" * 9), "the app takes 10"),
        (Attachment(url="http://169.254.169.254/a.wav"), "cannot fetch the file to send"),
    ],
)
async def test_a_sound_that_cannot_be_sent_is_said_to_be_the_sound(
    server: FaultServer, script: Any, collect: Collect, sound: Attachment, why: str
) -> None:
    script.inputs = [("audio", "sound", {})]
    script.more = {"max_file_size": 10}
    with pytest.raises(InvalidRequestError, match=why) as caught:
        await collect(server.url, task="automatic-speech-recognition", audio=sound)
    assert caught.value.param == "audio"
