"""What importing costs, and how long it takes to the first request: fresh interpreters, medians.

PLUGMUX_BENCH_LEAN names an interpreter of an environment with core and hf-inference alone. The rows that say
`lean` are measured there, because httpx imports click and rich where they are installed.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from rows import Row
from server import answer

ROUNDS = 15
PROBE = """
import sys, time
before = set(sys.modules)
start = time.monotonic()
{code}
seconds = time.monotonic() - start
import json
modules = sorted(set(sys.modules) - before)
print(json.dumps([start, seconds, modules]))
"""


def measure() -> Iterator[Row]:
    lean = os.environ.get("PLUGMUX_BENCH_LEAN", sys.executable)
    yield _import_row("import plugmux", lean, "import plugmux", 30)
    touched = "import plugmux; plugmux.Client; plugmux.Text"
    yield _import_row("… with Client and Text touched", lean, touched, 60)
    with Arrivals() as arrivals:
        yield _first_request_row("… to the first request of complete(), lean", lean, arrivals)
        yield _first_request_row("… to the first request of complete(), all", sys.executable, arrivals)
        yield _command_line_row(arrivals)


def _import_row(what: str, python: str, code: str, budget: float) -> Row:
    """Milliseconds from the first line on, so the interpreter's own start is not in it."""
    runs = [_probe(python, code) for _ in range(ROUNDS)]
    value = median(seconds for _, seconds, _ in runs) * 1000
    return Row(what=what, value=value, unit="ms", budget=budget, facts=_module_facts(runs[0][2]))


def _first_request_row(what: str, python: str, arrivals: Arrivals) -> Row:
    code = "import plugmux; plugmux.complete('local::bench', 'Hi')"
    taken: list[float] = []
    modules: list[str] = []
    for _ in range(ROUNDS):
        start, _, modules = _probe(python, code, arrivals.environment())
        taken.append(arrivals.last - start)
    return Row(what=what, value=median(taken) * 1000, unit="ms", budget=120, facts=_module_facts(modules))


def _command_line_row(arrivals: Arrivals) -> Row:
    command = [str(Path(sys.executable).parent / "plugmux"), "complete", "local::bench", "Hi"]
    taken: list[float] = []
    for _ in range(ROUNDS):
        start = time.monotonic()
        subprocess.run(
            command, env=arrivals.environment(), check=True, stdin=subprocess.DEVNULL, capture_output=True
        )
        taken.append(arrivals.last - start)
    return Row(what="cold command line to the request", value=median(taken) * 1000, unit="ms", budget=300)


def _probe(python: str, code: str, env: dict[str, str] | None = None) -> tuple[float, float, list[str]]:
    """When the code began on the machine's monotonic clock, its seconds, and the modules it imported."""
    command = [python, "-c", PROBE.format(code=code)]
    done = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
    start, seconds, modules = json.loads(done.stdout)
    return start, seconds, modules


def _module_facts(modules: list[str]) -> dict[str, object]:
    tops = {name.partition(".")[0] for name in modules}
    return {
        "modules": len(modules),
        "packages": sorted(top for top in tops if top not in sys.stdlib_module_names),
        "ours": [name for name in modules if name.startswith("plugmux")],
    }


class Arrivals:
    """A server that notes when the last request came in."""

    def __enter__(self) -> Arrivals:
        self.last = 0.0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._home = tempfile.TemporaryDirectory()
        self._answer = answer(1)
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self._home.cleanup()

    def environment(self) -> dict[str, str]:
        """A home of its own, this server as the provider `local`, and no other host to be asked."""
        address = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "PLUGMUX_"))}
        instance = f"local=hf-inference@{address}"
        ours = {"PLUGMUX_HOME": self._home.name, "PLUGMUX_INSTANCES": instance, "HF_HUB_OFFLINE": "1"}
        return kept | ours

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self._answer_one(connection)

    def _answer_one(self, connection: socket.socket) -> None:
        """Any GET is the provider being asked for its models: only a POST is the request itself."""
        data = connection.recv(65536)
        arrived = time.monotonic()
        if not data.startswith(b"POST"):
            connection.sendall(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            return
        self.last = arrived
        while not data.endswith(b"}"):
            data += connection.recv(65536)
        connection.sendall(self._answer)
