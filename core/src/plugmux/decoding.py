"""Event streams, JSON lines and content encodings, decoded from bytes.

The decoders are pure: `feed(chunk)` gives what the chunk completed, `flush()` what the end of the
stream completes. Bytes may be cut anywhere, inside a UTF-8 sequence or between CR and LF. Server-sent
events are decoded as the WHATWG HTML standard (section 9.2.6) says.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from itertools import chain

from plugmux.errors import MalformedResponseError

__all__ = ["MAX_LINE", "ContentDecoder", "EventStreamDecoder", "LineDecoder", "ServerSentEvent"]

MAX_LINE = 16 * 1024 * 1024
"""Bytes a line, or the data of one event, may have."""


CODINGS = ("gzip", "x-gzip", "deflate")
NO_CODING = ("", "identity", "none", "utf-8", "utf8")
"""What stands in the header and means nothing: servers write the charset there too."""
MAX_CODINGS = 4


class ServerSentEvent:
    """One event: `data` in bytes (lines joined by LF), `event` its type, `id` the last id seen."""

    __slots__ = ("data", "event", "id")

    def __init__(self, data: bytes, event: str = "message", id: str = "") -> None:
        self.data = data
        self.event = event
        self.id = id

    def __repr__(self) -> str:
        return f"ServerSentEvent(data={self.data!r}, event={self.event!r}, id={self.id!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ServerSentEvent):
            return NotImplemented
        return (self.data, self.event, self.id) == (other.data, other.event, other.id)

    __hash__ = None  # type: ignore[assignment]


class ContentDecoder:
    """Undoes content encodings, gzip and deflate, in pieces of at most 1 MiB.

    `encoding` is the header's value: codings in the order in which they were applied, by comma. Raises
    MalformedResponseError for another coding, broken data, or an end before the data's own.
    """

    def __init__(self, encoding: str) -> None:
        words = [word.strip() for word in encoding.lower().split(",")]
        codings = [word for word in words if word not in NO_CODING]
        if len(codings) > MAX_CODINGS or not all(word in CODINGS for word in codings):
            raise MalformedResponseError(f"the content encoding {encoding[:100]!r} was not asked for")
        self._layers = [_Inflation(word) for word in reversed(codings)]

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The content that `chunk` completes."""
        pieces = iter((chunk,))
        for layer in self._layers:
            pieces = chain.from_iterable(map(layer.feed, pieces))
        return pieces

    def end(self) -> None:
        """The data has ended: raise if it was cut."""
        for layer in self._layers:
            layer.end()


class _Inflation:
    """One coding undone."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._inflate: zlib._Decompress | None = None

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        while chunk:
            if self._inflate is not None and self._inflate.eof:  # zeros may follow, and a further member
                chunk = chunk.lstrip(b"\0")
                if not chunk:
                    return
                self._inflate = None
            if self._inflate is None:
                self._inflate = zlib.decompressobj(self._window_bits(chunk))
            try:
                piece = self._inflate.decompress(chunk, 1 << 20)
            except zlib.error as error:
                raise MalformedResponseError(f"the content encoding is broken: {error}") from error
            if piece:
                yield piece
            chunk = self._inflate.unconsumed_tail or self._inflate.unused_data

    def end(self) -> None:
        if self._inflate is not None and not self._inflate.eof:
            raise MalformedResponseError("the content encoding is broken: it ends in the middle")

    def _window_bits(self, chunk: bytes) -> int:
        if self._coding != "deflate":
            return 16 + zlib.MAX_WBITS
        wrapped = chunk[0] & 0x0F == 8  # zlib's header; some servers send the bare stream
        return zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS


class LineDecoder:
    """Lines out of chunks: ended by LF, CRLF or CR. Line ends are cut off.

    `max_line` is in bytes; a longer line raises MalformedResponseError.
    """

    def __init__(self, *, max_line: int = MAX_LINE) -> None:
        self._max_line = max_line
        self._pieces: list[bytes] = []
        self._size = 0
        self._skip_newline = False

    @property
    def empty(self) -> bool:
        """Whether nothing is kept and nothing of the next chunk is to be skipped."""
        return not (self._pieces or self._skip_newline)

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that `chunk` completes."""
        if self._skip_newline and chunk:
            chunk = chunk[1:] if chunk[:1] == b"\n" else chunk
            self._skip_newline = False
        if not chunk:
            return []
        if chunk[-1:] == b"\r":
            self._skip_newline = True
        if b"\n" not in chunk and b"\r" not in chunk:
            self._keep(chunk)
            return []
        if self._pieces:
            chunk = b"".join((*self._pieces, chunk))
            self._pieces.clear()
            self._size = 0
        lines = chunk.splitlines() if b"\r" in chunk else chunk.split(b"\n")
        if b"\r" not in chunk or chunk[-1:] not in b"\r\n":
            self._keep(lines.pop())
        if len(chunk) > self._max_line and any(len(line) > self._max_line for line in lines):
            self._refuse()
        return lines

    def flush(self) -> list[bytes]:
        """The last line, if the stream ended without a line end."""
        rest = b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        return [rest] if rest else []

    def _keep(self, piece: bytes) -> None:
        if piece:
            self._pieces.append(piece)
            self._size += len(piece)
            if self._size > self._max_line:
                self._refuse()

    def _refuse(self) -> None:
        raise MalformedResponseError(f"a line of the stream is longer than {self._max_line:,} bytes")


class EventStreamDecoder:
    """Server-sent events out of chunks.

    An event that the end of the stream leaves without its blank line is given by `flush`: services
    end their streams so, and whether the answer is complete is for its own events to say.
    """

    def __init__(self, *, max_line: int = MAX_LINE) -> None:
        self._lines = LineDecoder(max_line=max_line)
        self._max_data = max_line
        self._start = b""
        self._started = False
        self._between = False
        self._data: list[bytes] = []
        self._size = 0
        self._event = ""
        self._id = ""

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """The events that `chunk` completes."""
        if (  # one whole event of one line, as nearly every chunk is: a third of the general way's cost
            self._between
            and chunk[:6] == b"data: "
            and chunk.find(b"\n") == len(chunk) - 2
            and chunk[-1:] == b"\n"
            and b"\r" not in chunk
            and len(chunk) <= self._max_data
        ):
            return [ServerSentEvent(chunk[6:-2], "message", self._id)]
        if not self._started:
            chunk = self._without_mark(chunk)
        events = self._events_of(self._lines.feed(chunk))
        self._between = self._started and self._lines.empty and not (self._data or self._event)
        return events

    def flush(self) -> list[ServerSentEvent]:
        """The event that was being sent when the stream ended."""
        return self._events_of([*self._lines.feed(self._start), *self._lines.flush(), b""])

    def _without_mark(self, chunk: bytes) -> bytes:
        """Take off a byte-order mark, which may itself be cut."""
        self._start += chunk
        if b"\xef\xbb\xbf".startswith(self._start):
            if len(self._start) == 3:
                self._start, self._started = b"", True
            return b""
        start, self._start, self._started = self._start, b"", True
        return start.removeprefix(b"\xef\xbb\xbf")

    def _events_of(self, lines: list[bytes]) -> list[ServerSentEvent]:
        events = []
        for line in lines:
            if not line:
                if self._data:
                    events.append(self._complete())
                self._event = ""
            elif line[:5] == b"data:":
                self._add(line[6:] if line[5:6] == b" " else line[5:])
            elif line[0] != 58:  # a colon starts a comment
                self._field(line)
        return events

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value[1:] if value[:1] == b" " else value
        match name:
            case b"data":
                self._add(value)
            case b"event":
                self._event = value.decode("utf-8", "replace")
            case b"id" if b"\0" not in value:
                self._id = value.decode("utf-8", "replace")

    def _add(self, value: bytes) -> None:
        self._data.append(value)
        self._size += len(value)
        if self._size > self._max_data:
            raise MalformedResponseError(f"an event is longer than {self._max_data:,} bytes")

    def _complete(self) -> ServerSentEvent:
        data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
        self._data.clear()
        self._size = 0
        return ServerSentEvent(data, self._event or "message", self._id)
