"""A chat server that costs little: each answer is bytes made beforehand.

    python server.py TOKENS        prints its port, serves until its standard input ends

Every request gets a stream of TOKENS events, each a transfer chunk of its own, as real servers send them.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


@contextmanager
def running(tokens: int) -> Iterator[str]:
    """Run the server in a process of its own; its base address."""
    command = [sys.executable, str(Path(__file__).resolve()), str(tokens)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
        process.stdin.close()


def answer(tokens: int) -> bytes:
    """The whole response: an opening chunk, `tokens` words, the finish reason, usage, and `[DONE]`."""
    chunks = [_chunk({"role": "assistant", "content": ""})]
    chunks += [_chunk({"content": f" word{number % 1000}"}) for number in range(tokens)]
    chunks += [_chunk({}, "stop")]
    usage = {"prompt_tokens": 8, "completion_tokens": tokens, "total_tokens": tokens + 8}
    chunks += [json.dumps({"id": "c-1", "object": "chat.completion.chunk", "choices": [], "usage": usage})]
    events = [f"data: {chunk}\n\n".encode() for chunk in [*chunks, "[DONE]"]]
    return HEAD + b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in events) + b"0\r\n\r\n"


def _chunk(delta: dict[str, str], finish_reason: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return json.dumps(
        {
            "id": "chatcmpl-0123456789abcdef",
            "object": "chat.completion.chunk",
            "created": 1700000000,
            "model": "bench/model",
            "system_fingerprint": "fp_0123456789",
            "choices": [choice],
        }
    )


def _serve(listener: socket.socket, response: bytes) -> None:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_answer_all, args=(connection, response), daemon=True).start()


def _answer_all(connection: socket.socket, response: bytes) -> None:
    with connection, connection.makefile("rb") as requests, suppress(ConnectionError):
        while _read_request(requests):
            connection.sendall(response)


def _read_request(requests) -> bool:
    length = 0
    if not requests.readline():
        return False
    while (line := requests.readline()) not in (b"\r\n", b""):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    requests.read(length)
    return True


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    response = answer(int(sys.argv[1]))
    threading.Thread(target=_serve, args=(listener, response), daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
