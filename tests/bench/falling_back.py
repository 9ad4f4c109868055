"""What a fallback adds: a request that one server refuses at once, beside the same one without that server.

Both servers are processes of their own on this machine, connections are open, and the requests take turns.
The time is what the caller waits: a median, and of several blocks the quietest, because whatever else runs
here only adds to it. The faults are such as need no second try at the same place.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median

import anyio
import httpx
import server
from attrs import define, field
from rows import Row

import plugmux
from plugmux.settings import Settings

BLOCKS = 6
REQUESTS = 60
FAULTS = {400: "an input that the model refuses", 404: "a model that is gone", 403: "a gate"}


@define
class Times:
    """Seconds of each kind of request, one of each a round."""

    alone: list[float] = field(factory=list)
    fallen: list[float] = field(factory=list)
    plain: list[float] = field(factory=list)
    """A refused request with httpx and nothing else."""

    def added(self) -> float:
        """Milliseconds that the fallback adds: the median of the rounds' own differences."""
        return median(two - one for one, two in zip(self.alone, self.fallen, strict=True)) * 1e3


def measure() -> Iterator[Row]:
    for status, meaning in FAULTS.items():
        with server.running(1) as well, refusing(status) as ill, tempfile.TemporaryDirectory() as home:
            instances = f"ill=hf-inference@{ill} well=hf-inference@{well}"
            environ = {"PLUGMUX_HOME": home, "PLUGMUX_INSTANCES": instances, "HF_HUB_OFFLINE": "1"}
            blocks = anyio.run(_in_blocks, Settings.load(environ), ill)
        times = min(blocks, key=Times.added)
        what = f"added by {status}, {meaning}"
        yield Row(what=what, value=times.added(), unit="ms", budget=1.0)
        yield Row(what="… a plain httpx request to that server", value=median(times.plain) * 1e3, unit="ms")
    yield Row(what="the request without a fallback", value=median(times.alone) * 1e3, unit="ms")


async def _in_blocks(settings: Settings, refusing_url: str) -> list[Times]:
    """The first block opens connections and warms caches: it does not count."""
    async with plugmux.AsyncClient(settings=settings) as client, httpx.AsyncClient() as plain:
        blocks = [await _in_turn(client, plain, refusing_url) for _ in range(BLOCKS + 1)]
    return blocks[1:]


async def _in_turn(client: plugmux.AsyncClient, plain: httpx.AsyncClient, refusing_url: str) -> Times:
    times = Times()
    for _ in range(REQUESTS):
        times.alone.append(await _seconds(client, ["well::bench"], tries=1))
        times.fallen.append(await _seconds(client, ["ill::bench", "well::bench"], tries=2))
        times.plain.append(await _plain_seconds(plain, refusing_url))
    return times


async def _seconds(client: plugmux.AsyncClient, models: Sequence[str], *, tries: int) -> float:
    start = time.perf_counter()
    done = await client.complete(models, "Hi")
    seconds = time.perf_counter() - start
    assert done.provider == "well"
    assert len(done.trace.attempts) == tries, done.trace
    return seconds


async def _plain_seconds(client: httpx.AsyncClient, url: str) -> float:
    body = {"model": "bench", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    start = time.perf_counter()
    response = await client.post(f"{url}/chat/completions", json=body)
    seconds = time.perf_counter() - start
    assert response.is_error
    return seconds


# The server that refuses


@contextmanager
def refusing(status: int) -> Iterator[str]:
    """Run it in a process of its own; its base address."""
    command = [sys.executable, str(Path(__file__).resolve()), str(status)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
        process.stdin.close()


def _refuse_all(connection: socket.socket, answer: bytes) -> None:
    with connection, connection.makefile("rb") as requests, suppress(ConnectionError):
        while requests.readline():
            length = 0
            while (line := requests.readline()) not in (b"\r\n", b""):
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            requests.read(length)
            connection.sendall(answer)


def _serve(status: int) -> None:
    body = b'{"error": {"message": "the bench refuses this"}}'
    head = (
        f"HTTP/1.1 {status} Refused\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            connection, _ = listener.accept()
            arguments = (connection, head.encode() + body)
            threading.Thread(target=_refuse_all, args=arguments, daemon=True).start()


def main() -> None:
    threading.Thread(target=_serve, args=[int(sys.argv[1])], daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
