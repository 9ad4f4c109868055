"""Event streams and lines out of bytes, wherever the network cuts them."""

from __future__ import annotations

from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugmux.decoding import EventStreamDecoder, LineDecoder, ServerSentEvent
from plugmux.errors import MalformedResponseError

Event = ServerSentEvent

# What each stream means, by the event-stream part of the HTML standard.
STREAMS = {
    "one event": (b"data: x\n\n", [Event(b"x")]),
    "no space after the colon": (b"data:x\n\n", [Event(b"x")]),
    "one space is cut, a second stays": (b"data:  x\n\n", [Event(b" x")]),
    "CRLF": (b"data: x\r\ndata: y\r\n\r\n", [Event(b"x\ny")]),
    "CR": (b"data: x\rdata: y\r\r", [Event(b"x\ny")]),
    "mixed line ends": (b"data: x\r\ndata: y\n\rdata: z\n\n", [Event(b"x\ny"), Event(b"z")]),
    "lines are joined": (b"data: a\ndata\ndata: b\n\n", [Event(b"a\n\nb")]),
    "a comment": (b": hello\ndata: x\n:\n\n", [Event(b"x")]),
    "comments alone": (b": hello\n\n:\n\n", []),
    "type and id": (
        b"event: tick\nid: 7\ndata: x\n\ndata: y\n\n",
        [Event(b"x", "tick", "7"), Event(b"y", id="7")],
    ),
    "a type without data is forgotten": (b"event: tick\n\ndata: x\n\n", [Event(b"x")]),
    "an id with a NUL is ignored": (b"id: a\0b\ndata: x\n\n", [Event(b"x")]),
    "unknown fields": (b"retry: 5\nfoo: bar\ndata: x\nlone\n\n", [Event(b"x")]),
    "a byte-order mark": (b"\xef\xbb\xbfdata: x\n\n", [Event(b"x")]),
    "a mark in the middle is data": (b"data: \xef\xbb\xbfx\n\n", [Event(b"\xef\xbb\xbfx")]),
    "a field behind two marks is unknown": (b"\xef\xbb\xbf\xef\xbb\xbfdata: x\n\n", []),
    "letters of several bytes": ("data: é漢🙂\n\n".encode(), [Event("é漢🙂".encode())]),
    "empty data": (b"data\n\ndata:\n\n", [Event(b""), Event(b"")]),
    "an end without its empty line": (b"data: x\n\ndata: y\n", [Event(b"x"), Event(b"y")]),
    "an end in the middle of a line": (b"data: x\n\ndata: y", [Event(b"x"), Event(b"y")]),
    "blank lines between": (b"\n\ndata: x\n\n\n\ndata: y\n\n", [Event(b"x"), Event(b"y")]),
    "nothing": (b"", []),
    "half a mark": (b"\xef\xbb", []),
}


def decoded(parts: list[bytes]) -> list[ServerSentEvent]:
    decoder = EventStreamDecoder()
    events = [event for part in parts for event in decoder.feed(part)]
    return events + decoder.flush()


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_means_the_same_wherever_it_is_cut_twice(name: str) -> None:
    stream, expected = STREAMS[name]
    assert decoded([stream]) == expected
    for one, two in combinations(range(len(stream) + 1), 2):
        assert decoded([stream[:one], stream[one:two], stream[two:]]) == expected


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_means_the_same_byte_by_byte(name: str) -> None:
    stream, expected = STREAMS[name]
    assert decoded([bytes([byte]) for byte in stream]) == expected


def test_an_event_is_given_as_soon_as_its_empty_line_is_there() -> None:
    decoder = EventStreamDecoder()
    assert decoder.feed(b"data: x\n") == []
    assert decoder.feed(b"\n") == [Event(b"x")]


def test_an_event_ended_by_a_lone_cr_is_not_held_back() -> None:
    assert EventStreamDecoder().feed(b"data: x\r\r") == [Event(b"x")]


# Lines that hold no line end themselves; the ends between them vary.
_LINE = st.binary(max_size=6).map(lambda line: line.replace(b"\r", b"").replace(b"\n", b""))
_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


@given(st.lists(st.tuples(_LINE, _ENDS), max_size=8), st.lists(st.integers(0, 80), max_size=6))
def test_lines_come_out_whole_whatever_their_ends_and_cuts(
    lines: list[tuple[bytes, bytes]], cuts: list[int]
) -> None:
    ends = [
        b"\r\n" if end == b"\r" else end for _, end in lines
    ]  # a CR before an empty line ended by LF is CRLF
    stream = b"".join(line + end for (line, _), end in zip(lines, ends, strict=True))
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    decoder = LineDecoder()
    got = [line for a, b in pairwise(places) for line in decoder.feed(stream[a:b])]
    assert got + decoder.flush() == [line for line, _ in lines]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_cr_lf_and_both_end_lines(end: bytes) -> None:
    assert LineDecoder().feed(end.join([b"a", b"", b"b", b""])) == [b"a", b"", b"b"]


def lines_of(stream: bytes, *, size: int, max_line: int) -> list[bytes]:
    decoder = LineDecoder(max_line=max_line)
    parts = (stream[place : place + size] for place in range(0, len(stream), size))
    return [line for part in parts for line in decoder.feed(part)]


@pytest.mark.parametrize("size", [1, 7, 100, 102])
def test_a_line_over_the_limit_is_an_error_however_it_comes(size: int) -> None:
    with pytest.raises(MalformedResponseError, match="longer than 100 bytes"):
        lines_of(b"x" * 101 + b"\n", size=size, max_line=100)


def test_a_line_of_just_the_limit_is_none() -> None:
    assert LineDecoder(max_line=100).feed(b"x" * 100 + b"\n") == [b"x" * 100]


def test_the_rest_of_a_chunk_may_be_longer_than_the_limit_in_all() -> None:
    assert len(LineDecoder(max_line=10).feed(b"1234567\n" * 5)) == 5


def test_an_event_of_many_short_lines_is_limited_too() -> None:
    decoder = EventStreamDecoder(max_line=100)
    with pytest.raises(MalformedResponseError, match="event is longer"):
        decoder.feed(b"data: 0123456789\n" * 11)


def test_the_limit_counts_each_event_anew() -> None:
    decoder = EventStreamDecoder(max_line=100)
    assert len(decoder.feed(b"data: 0123456789\n\n" * 50)) == 50


def test_16_mib_in_small_chunks_take_time_in_proportion() -> None:
    decoder = LineDecoder()
    for _ in range(256):
        assert decoder.feed(b"x" * 65536) == []
    with pytest.raises(MalformedResponseError, match="16,777,216"):
        decoder.feed(b"x")
