"""A chat server that costs little: each answer is bytes made beforehand.

    python server.py TOKENS        prints its port, serves until its standard input ends

The prompt says what comes: `bench-4000-0` is 4,000 tokens at once, `bench-40-50` is 40 tokens with 50 ms
between them, each written by itself; any other prompt is answered with TOKENS tokens at once. Each event is a
transfer chunk of its own, as real servers send them. One thread a connection, whose sleep is exact to a tenth
of a millisecond: an event loop's timers would send in bunches of one millisecond.
"""

from __future__ import annotations

import functools
import itertools
import json
import re
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
ASKED = re.compile(rb'"content": ?"bench-(\d+)-(\d+)"')
GOLDEN = 0.6180339887
FILES = 8192


@contextmanager
def running(tokens: int = 1) -> Iterator[str]:
    """Run the server in a process of its own; its base address."""
    command = [sys.executable, str(Path(__file__).resolve()), str(tokens)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
        process.stdin.close()


def answer(tokens: int) -> bytes:
    """The whole response: an opening chunk, `tokens` words, the finish reason, usage, and `[DONE]`."""
    return b"".join(_pieces(tokens))


@functools.lru_cache
def _pieces(tokens: int) -> tuple[bytes, ...]:
    """The answer in the pieces that are written one by one: each ends with a token but the last."""
    opening = HEAD + _sent(_delta({"role": "assistant", "content": ""}))
    words = [_sent(_delta({"content": f" word{number % 1000}"})) for number in range(tokens)]
    usage = {"prompt_tokens": 8, "completion_tokens": tokens, "total_tokens": tokens + 8}
    counted = _chunk(choices=[], usage=usage)
    ending = _sent(_delta({}, "stop")) + _sent(counted) + _sent("[DONE]") + b"0\r\n\r\n"
    return (opening + words[0], *words[1:], ending)


def _sent(data: str) -> bytes:
    """One event as one transfer chunk."""
    event = f"data: {data}\n\n".encode()
    return b"%x\r\n%b\r\n" % (len(event), event)


def _delta(delta: dict[str, str], finish_reason: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return _chunk(choices=[choice])


def _chunk(**fields: object) -> str:
    always = {
        "id": "chatcmpl-0123456789abcdef",
        "object": "chat.completion.chunk",
        "created": 1700000000,
        "model": "bench/model",
        "system_fingerprint": "fp_0123456789",
    }
    return json.dumps(always | fields)


def _serve(listener: socket.socket, tokens: int) -> None:
    for number in itertools.count():
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        phase = number * GOLDEN % 1  # spreads any number of connections evenly
        threading.Thread(target=_answer_all, args=(connection, tokens, phase), daemon=True).start()


def _answer_all(connection: socket.socket, tokens: int, phase: float) -> None:
    with connection, connection.makefile("rb") as requests, suppress(ConnectionError):
        while (body := _read_request(requests)) is not None:
            asked = ASKED.search(body)
            number, pause = (int(asked[1]), int(asked[2]) / 1000) if asked else (tokens, 0.0)
            if pause:
                _send_slowly(connection, _pieces(number), pause, phase)
            else:
                connection.sendall(_whole(number))


_whole = functools.lru_cache(answer)


def _send_slowly(connection: socket.socket, pieces: tuple[bytes, ...], pause: float, phase: float) -> None:
    """The first token at once, the second after a part of the pause that is the connection's own."""
    connection.sendall(pieces[0])
    due = time.monotonic() + pause * phase
    for piece in pieces[1:]:
        time.sleep(max(0.0, due - time.monotonic()))
        connection.sendall(piece)
        due += pause


def _read_request(requests: BinaryIO) -> bytes | None:
    """The body of the next request, or None when there is none."""
    length = 0
    if not requests.readline():
        return None
    while (line := requests.readline()) not in (b"\r\n", b""):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return requests.read(length)


def allow_many_files() -> None:
    """Raise this process's own limit of open files as far as it may, to FILES."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def main() -> None:
    allow_many_files()
    threading.stack_size(256 * 1024)
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    threading.Thread(target=_serve, args=(listener, int(sys.argv[1])), daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
