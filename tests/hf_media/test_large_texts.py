"""Long texts in JSON: left where they are, put in where they belong, and decoded slice by slice."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from plugmux.errors import MalformedResponseError
from plugmux.http import Response
from plugmux.media import SLICE, SPOOL_LIMIT, Media, MediaKind
from plugmux.model import Task
from plugmux_hf_media import _large, _results

TEXT = "A" * (_large.LONG + 5)


def answer(content: bytes) -> Response:
    return Response(url="", status=200, headers={"content-type": "application/json"}, content=content)


def plain(value: Any) -> Any:
    """The same with every long text as text."""
    match value:
        case memoryview():
            return bytes(value).decode()
        case list():
            return [plain(item) for item in value]
        case dict():
            return {key: plain(item) for key, item in value.items()}
    return value


@pytest.mark.parametrize(
    "value",
    [
        TEXT,
        [TEXT, "short", TEXT + "B"],
        {"data": [{"b64_json": TEXT, "n": 1}], "prompt": 'say "hi" \\ to\nme'},
        {"before": "\\", "text": TEXT},
        {"before": '\\"', "text": TEXT, "after": '"'},
        {"mark": "text left out 0", "text": TEXT},
        {"mark": "~text left out 0 text left out 0", "text": TEXT},
        {"short": "only", "many": ["x" * 100] * 1000},
        {TEXT: "a long key is a text as well"},
    ],
)
def test_json_with_long_texts_reads_as_it_always_does(value: Any) -> None:
    assert plain(_large.parsed(answer(json.dumps(value).encode()))) == value


def test_a_long_text_is_left_where_it_is() -> None:
    found = _large.parsed(answer(json.dumps({"b64_json": TEXT}).encode()))
    assert isinstance(found["b64_json"], memoryview)


def test_a_long_text_with_escapes_is_read_as_json_reads_it() -> None:
    content = b'{"url": "' + b"A" * _large.LONG + b'\\/B\\u00e9"}'
    assert _large.parsed(answer(content))["url"] == "A" * _large.LONG + "/Bé"


@pytest.mark.parametrize(
    "content", [b'{"a": "' + b"A" * 70000, b'["' + b"A" * 70000 + b'"', b'"' + b"\\" * 70001]
)
def test_half_of_a_json_is_malformed(content: bytes) -> None:
    with pytest.raises(MalformedResponseError, match="expected JSON"):
        _large.parsed(answer(content))


@pytest.mark.parametrize(
    "size", [0, 1, 2, 3, _large.SLICE - 1, _large.SLICE, _large.SLICE + 1, 3 * _large.SLICE + 2]
)
def test_base64_in_slices_is_base64(size: int) -> None:
    data = bytes(range(256)) * (size // 256) + bytes(range(size % 256))
    assert b"".join(_large.base64_of(data)) == base64.b64encode(data)


def test_an_answer_of_nothing_but_quotes_is_malformed_soon() -> None:
    with pytest.raises(MalformedResponseError, match="expected JSON"):
        _large.parsed(answer(b'"' * 4_000_000))


@pytest.mark.parametrize("depth", [100, 900, 100_000])
def test_an_answer_that_is_nested_too_deeply_is_malformed_or_read(depth: int) -> None:
    content = b'{"text": "' + TEXT.encode() + b'", "deep": ' + b"[" * depth + b"]" * depth + b"}"
    try:
        text = bytes(_large.parsed(answer(content))["text"]).decode()
    except MalformedResponseError:
        text = TEXT if depth > 100 else "refused"
    assert text == TEXT


def test_a_mark_is_replaced_wherever_it_stands() -> None:
    body = {"image": "data:x;base64,MARK", "images": ["data:x;base64,MARK"], "prompt": "é"}
    sent = json.loads(_large.spliced(body, "MARK", [b"QU", b"JD"]))
    assert sent == {"image": "data:x;base64,QUJD", "images": ["data:x;base64,QUJD"], "prompt": "é"}


@pytest.mark.parametrize("size", [1, SLICE, 2 * SLICE + 7, SPOOL_LIMIT + SLICE])
def test_media_comes_out_of_base64_as_it_went_in(size: int) -> None:
    data = b"\x89PNG\r\n\x1a\n" + bytes(size)
    text = base64.b64encode(data)
    for given in (text, memoryview(text), b"data:image/png;base64," + text):
        view = memoryview(given)
        media = _results.media_of_base64(view, Task.TEXT_TO_IMAGE)
        assert (media.kind, media.mime_type, media.size) == (MediaKind.IMAGE, "image/png", len(data))
        assert media.data == data


@pytest.mark.parametrize(
    "text", ["QUJ", "QU=D", "Q U J D", "QUJD\n", "é", "data:image/png;base64,%%%", "QQ==QQ=="]
)
def test_what_is_no_base64_is_malformed(text: str) -> None:
    with pytest.raises(MalformedResponseError, match="broken base64"):
        _results.media_of_base64(text, Task.TEXT_TO_IMAGE)


def test_media_larger_than_memory_should_hold_go_to_disk_at_once() -> None:
    media = Media.from_bytes(bytes(SPOOL_LIMIT + 1), kind=MediaKind.VIDEO)
    assert media.size == SPOOL_LIMIT + 1
    assert media._spool._file._rolled  # type: ignore[attr-defined]
