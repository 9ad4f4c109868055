"""Pictures, films and sounds: their type is that of their content, and saving never overwrites."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import pytest

from plugmux.media import SPOOL_LIMIT, Media, MediaKind, Spool, mime_type_of

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"RIFF\0\0\0\0WAVEfmt ", "audio/wav"),
        (b"RIFF\0\0\0\0AVI ", None),
        (b"\0\0\0\x18ftypisom", "video/mp4"),
        (b"\0\0\0\x18ftypavif", "image/avif"),
        (b"\0\0\0\x18ftypM4A ", "audio/mp4"),
        (b"\x1aE\xdf\xa3", "video/webm"),
        (b"fLaC", "audio/flac"),
        (b"OggS", "audio/ogg"),
        (b"ID3\x04", "audio/mpeg"),
        (b"<html>", None),
        (b"", None),
    ],
)
def test_the_first_bytes_tell_the_type(head: bytes, expected: str | None) -> None:
    assert mime_type_of(head) == expected


def test_the_content_decides_over_the_label() -> None:
    assert Media.from_bytes(PNG, kind=MediaKind.IMAGE, mime_type="image/jpeg").mime_type == "image/png"


def test_an_unknown_content_keeps_its_label() -> None:
    assert Media.from_bytes(b"???", kind=MediaKind.IMAGE, mime_type="image/x").mime_type == "image/x"
    assert Media.from_bytes(b"???", kind=MediaKind.IMAGE).mime_type == "application/octet-stream"


def test_it_is_saved_whole(tmp_path: Path) -> None:
    saved = Media.from_bytes(PNG, kind=MediaKind.IMAGE).save(tmp_path / "fox.png")
    assert saved.read_bytes() == PNG
    assert list(tmp_path.iterdir()) == [saved]


def test_saving_never_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "fox.png"
    path.write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        Media.from_bytes(PNG, kind=MediaKind.IMAGE).save(path)
    assert path.read_bytes() == b"mine"
    assert list(tmp_path.iterdir()) == [path]


def test_saving_into_no_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Media.from_bytes(PNG, kind=MediaKind.IMAGE).save(tmp_path / "none" / "fox.png")


def test_what_is_saved_is_as_readable_as_any_other_file(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.touch()
    saved = Media.from_bytes(PNG, kind=MediaKind.IMAGE).save(tmp_path / "fox.png")
    assert saved.stat().st_mode == other.stat().st_mode


def test_large_content_is_the_same_content(tmp_path: Path) -> None:
    spool = Spool()
    piece = bytes(range(256)) * 4096
    while spool.size <= SPOOL_LIMIT:
        spool.write(piece)
    media = Media.from_spool(spool, kind=MediaKind.VIDEO)
    copy = io.BytesIO()
    spool.copy_to(copy)
    assert media.size == len(media.data) == len(copy.getvalue()) > SPOOL_LIMIT
    assert media.data[-len(piece) :] == piece


def test_a_spool_can_be_written_on_after_a_look_at_its_head() -> None:
    spool = Spool()
    spool.write(b"abc")
    assert spool.head(2) == b"ab"
    spool.write(b"def")
    assert spool.read() == b"abcdef"


def test_media_survives_pickling() -> None:
    media = Media.from_bytes(PNG, kind=MediaKind.IMAGE, url="https://pictures.example/1", prompt="a fox")
    back = pickle.loads(pickle.dumps(media))
    assert (back.data, back.kind, back.url, back.prompt) == (PNG, MediaKind.IMAGE, media.url, "a fox")


def test_the_content_shows_in_no_repr() -> None:
    assert "PNG" not in repr(Media.from_bytes(PNG, kind=MediaKind.IMAGE))
