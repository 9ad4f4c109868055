"""What a fallback adds: a request that one server refuses at once, beside the same one without that server.

Both servers are processes of their own on this machine, connections are open, and the two requests take
turns. The time is what the caller waits. The faults are such as need no second try at the same place.
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
import server
from rows import Row

import plugmux
from plugmux.settings import Settings

REQUESTS = 300
WARMING = 20
FAULTS = {400: "an input that the model refuses", 404: "a model that is gone", 403: "a gate"}


def measure() -> Iterator[Row]:
    for status, meaning in FAULTS.items():
        with server.running(1) as well, refusing(status) as ill, tempfile.TemporaryDirectory() as home:
            instances = f"ill=hf-inference@{ill} well=hf-inference@{well}"
            settings = Settings.load(
                {"PLUGMUX_HOME": home, "PLUGMUX_INSTANCES": instances, "HF_HUB_OFFLINE": "1"}
            )
            alone, fallen = anyio.run(_in_turn, settings)
        added = median(two - one for one, two in zip(alone, fallen, strict=True))
        facts = {"alone": median(alone) * 1e3, "fallen": median(fallen) * 1e3}
        yield Row(what=f"added by {status}, {meaning}", value=added * 1e3, unit="ms", budget=1.0, facts=facts)
    yield Row(what="the request without a fallback", value=facts["alone"], unit="ms")


async def _in_turn(settings: Settings) -> tuple[list[float], list[float]]:
    alone: list[float] = []
    fallen: list[float] = []
    async with plugmux.AsyncClient(settings=settings) as client:
        for _ in range(WARMING + REQUESTS):
            alone.append(await _seconds(client, ["well::bench"], tries=1))
            fallen.append(await _seconds(client, ["ill::bench", "well::bench"], tries=2))
    return alone[WARMING:], fallen[WARMING:]


async def _seconds(client: plugmux.AsyncClient, models: Sequence[str], *, tries: int) -> float:
    start = time.perf_counter()
    done = await client.complete(models, "Hi")
    seconds = time.perf_counter() - start
    assert done.provider == "well"
    assert len(done.trace.attempts) == tries, done.trace
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
