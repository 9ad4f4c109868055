"""Content encodings are undone, in pieces, wherever the bytes are cut."""

from __future__ import annotations

import gzip
import zlib

import pytest

from plugmux.decoding import ContentDecoder
from plugmux.errors import MalformedResponseError

TEXT = b"one fox and another fox " * 40
GZIP = gzip.compress(TEXT, mtime=0)
ZLIB = zlib.compress(TEXT)

SOUND = {
    "gzip": ("gzip", GZIP),
    "another case, blanks": (" X-GZip ", GZIP),
    "deflate": ("deflate", ZLIB),
    "deflate without its header": ("deflate", ZLIB[2:-4]),
    "two members": ("gzip", gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:])),
    "zeros behind": ("gzip", GZIP + b"\0" * 20),
    "zeros between members": ("gzip", gzip.compress(TEXT[:100]) + b"\0" * 3 + gzip.compress(TEXT[100:])),
    "nothing": ("", TEXT),
    "identity": ("Identity", TEXT),
    "none": ("none", TEXT),
    "a charset": ("UTF-8", TEXT),
    "one and none": ("gzip, identity", GZIP),
    "an empty item": ("gzip,", GZIP),
    "two, the last one first": ("deflate, gzip", gzip.compress(ZLIB)),
}


@pytest.mark.parametrize("case", SOUND)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_what_is_sound_is_undone(case: str, size: int) -> None:
    encoding, data = SOUND[case]
    decoder = ContentDecoder(encoding)
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    assert b"".join(piece for chunk in chunks for piece in decoder.feed(chunk)) == TEXT
    decoder.end()


@pytest.mark.parametrize("encoding", ["br", "gzip, br", "zstd", "gzip gzip", "gzip," * 5])
def test_what_was_not_asked_for_is_refused(encoding: str) -> None:
    with pytest.raises(MalformedResponseError, match="was not asked for"):
        ContentDecoder(encoding)


@pytest.mark.parametrize("data", [b"not compressed", GZIP + b"trash", GZIP + b"\0trash", GZIP[:-1]])
def test_what_is_broken_or_cut_is_refused(data: bytes) -> None:
    decoder = ContentDecoder("gzip")
    with pytest.raises(MalformedResponseError, match="is broken"):
        list(decoder.feed(data))
        decoder.end()


def test_a_small_answer_of_much_content_comes_in_pieces() -> None:
    data = gzip.compress(gzip.compress(b"x" * (8 << 20)))
    sizes = [len(piece) for piece in ContentDecoder("gzip, gzip").feed(data)]
    assert sum(sizes) == 8 << 20
    assert max(sizes) <= 1 << 20
