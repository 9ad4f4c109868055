"""What a `FaultServer` answers: a reply is a sequence of actions on the socket.

    Send(data)      one write
    Dribble(data)   a write for each byte
    Wait(seconds)   a pause
    Hang()          nothing more until the client goes away
    Close()         an orderly end of the connection
    Reset()         the connection torn down (RST)

A reply whose actions end without Close, Hang or Reset leaves the connection open for the next request.
"""

from __future__ import annotations

import gzip
import json as _json
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, TypeAlias

from attrs import frozen

if TYPE_CHECKING:
    from plugmux.testing.server import SeenRequest

__all__ = [
    "Action",
    "Close",
    "Dribble",
    "Hang",
    "Replies",
    "Reply",
    "Reset",
    "Send",
    "Wait",
    "answer",
    "by_path",
    "by_turns",
    "chunk",
    "dribbled",
    "endless_line",
    "gzip_cut",
    "head",
    "html",
    "in_one_packet",
    "in_order",
    "json",
    "no_answer",
    "old_style",
    "only_headers",
    "redirect",
    "reset",
    "stream",
    "wrong_length",
]


@frozen
class Send:
    data: bytes


@frozen
class Dribble:
    data: bytes


@frozen
class Wait:
    seconds: float


@frozen
class Hang:
    pass


@frozen
class Close:
    pass


@frozen
class Reset:
    pass


Action: TypeAlias = Send | Dribble | Wait | Hang | Close | Reset
Reply: TypeAlias = Sequence[Action]
Replies: TypeAlias = "Reply | Callable[[SeenRequest], Reply]"

_REASONS = {200: "OK", 302: "Found", 429: "Too Many Requests", 500: "Internal Server Error"}


def head(status: int, headers: Mapping[str, str], *, version: str = "1.1") -> bytes:
    """A status line and headers, with the empty line that ends them."""
    lines = [f"HTTP/{version} {status} {_REASONS.get(status, 'Status')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def chunk(data: bytes) -> bytes:
    """`data` framed for `Transfer-Encoding: chunked`."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def answer(
    body: bytes | str = b"",
    *,
    status: int = 200,
    content_type: str = "text/plain",
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """A whole answer with its right length."""
    content = body.encode() if isinstance(body, str) else body
    sent = {"Content-Type": content_type, "Content-Length": str(len(content)), **(headers or {})}
    return [Send(head(status, sent) + content)]


def json(body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """A whole JSON answer."""
    return answer(_json.dumps(body), status=status, content_type="application/json", headers=headers)


def html(*, status: int = 200) -> Reply:
    """A page where an answer was expected."""
    page = "<!doctype html><html><head><title>Just a moment</title></head><body>wait</body></html>"
    return answer(page, status=status, content_type="text/html")


def redirect(url: str, *, status: int = 302) -> Reply:
    """Sent elsewhere."""
    return answer(status=status, headers={"Location": url})


def stream(
    chunks: Iterable[bytes],
    *,
    after: Iterable[Action] | None = None,
    pause: float = 0.0,
    content_type: str = "text/event-stream",
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """A streamed answer, one write for each chunk.

    It ends as it should, unless `after` says what happens in place of the end: `[Close()]` is a cut,
    `[Hang()]` a stall, `[Reset()]` a reset. `pause` lies between the chunks, in seconds.
    """
    sent = {"Content-Type": content_type, "Transfer-Encoding": "chunked", **(headers or {})}
    actions: list[Action] = [Send(head(200, sent))]
    for data in chunks:
        actions += [Send(chunk(data)), Wait(pause)] if pause else [Send(chunk(data))]
    return [*actions, *([Send(b"0\r\n\r\n")] if after is None else after)]


def dribbled(reply: Reply) -> Reply:
    """The same bytes, one by one."""
    return [Dribble(action.data) if isinstance(action, Send) else action for action in reply]


def in_one_packet(reply: Reply) -> Reply:
    """The same bytes in one write, up to the first action that is not a write."""
    data = b""
    for place, action in enumerate(reply):
        if not isinstance(action, Send):
            return [Send(data), *reply[place:]]
        data += action.data
    return [Send(data)]


def no_answer() -> Reply:
    """The request is taken, and nothing ever comes back."""
    return [Hang()]


def only_headers(content_type: str = "text/event-stream") -> Reply:
    """The headers of a stream, and then nothing."""
    return stream([], after=[Hang()], content_type=content_type)


def reset() -> Reply:
    """The connection is torn down before any header."""
    return [Reset()]


def endless_line(size: int) -> Reply:
    """A stream of `size` bytes that never gets to the end of its first line, and then nothing."""
    piece = b"x" * 65536
    pieces = [piece] * (size // len(piece)) + [piece[: size % len(piece)]]
    return stream([b"data: ", *filter(None, pieces)], after=[Hang()])


def wrong_length(body: bytes, *, claimed: int) -> Reply:
    """An answer that claims `claimed` bytes, has another number, and then ends."""
    sent = {"Content-Type": "application/json", "Content-Length": str(claimed)}
    return [Send(head(200, sent) + body), Close()]


def gzip_cut(body: bytes, *, content_type: str = "application/json") -> Reply:
    """A gzipped answer of which the second half is missing, though the framing is whole."""
    packed = gzip.compress(body)
    half = packed[: len(packed) // 2]
    return answer(half, content_type=content_type, headers={"Content-Encoding": "gzip"})


def old_style(body: bytes, *, content_type: str = "text/event-stream") -> Reply:
    """HTTP/1.0: no length, no chunks, the end of the connection is the end of the answer."""
    return [Send(head(200, {"Content-Type": content_type}, version="1.0") + body), Close()]


def in_order(*replies: Replies) -> Callable[[SeenRequest], Reply]:
    """One reply after the other; the last one for ever."""
    numbers = count()
    return lambda request: chosen(replies[min(next(numbers), len(replies) - 1)], request)


def by_turns(*replies: Replies) -> Callable[[SeenRequest], Reply]:
    """One reply after the other, round and round: a flapping server."""
    numbers = count()
    return lambda request: chosen(replies[next(numbers) % len(replies)], request)


def by_path(paths: Mapping[str, Replies]) -> Callable[[SeenRequest], Reply]:
    """The reply of the request's path (without its query); 404 for any other path."""

    def choose(request: SeenRequest) -> Reply:
        path = request.path.partition("?")[0]
        if path not in paths:
            return json({"error": f"no script for {path}"}, status=404)
        return chosen(paths[path], request)

    return choose


def chosen(replies: Replies, request: SeenRequest) -> Reply:
    """The reply to one request."""
    return replies(request) if callable(replies) else replies
