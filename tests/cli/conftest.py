"""A small server of chat completions and jobs, a plugin for it, and the command line as a process."""

from __future__ import annotations

import base64
import json
import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAFklEQVR4nGP4z8DAAMIM/4EkiPwPxgAtzgP9s2O3nAAAAABJRU5E"
    "rkJggg=="
)
SOUND = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(40)
FILM = b"\x00\x00\x00\x18ftypmp42" + bytes(32)
MODELS = [
    {"id": "plain", "aliases": ["short"]},
    {"id": "acme/parrot", "context_length": 8192, "pricing": None},
    {"id": "slow"},
    {"id": "cut"},
    {"id": "down"},
    {"id": "thinker"},
    {"id": "caller"},
    {"id": "escape"},
    {"id": "filtered"},
    {"id": "fickle"},
    {"id": "quiet"},
    {"id": "painter", "tasks": ["text-to-image", "image-to-image"]},
    {"id": "moody", "tasks": ["text-to-image"]},
    {"id": "director", "tasks": ["text-to-video"]},
    {"id": "voice", "tasks": ["text-to-speech"]},
    {"id": "scribe", "tasks": ["automatic-speech-recognition"]},
    {"id": "fickle-scribe", "tasks": ["automatic-speech-recognition"]},
]


def _delta(content: str | None = None, **more: Any) -> dict[str, Any]:
    finish = more.pop("finish", None)
    delta = {"content": content, **more.pop("delta", {})}
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}


def _end(reason: str = "stop") -> dict[str, Any]:
    return _delta(finish=reason, usage={"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5})


THOUGHT = _delta(delta={"reasoning": "Let me see."})
CALL = _delta(delta={"tool_calls": [{"id": "c1", "name": "add", "arguments": '{"a": 1}'}]})


def _chat_script(model: str, said: str) -> list[dict[str, Any]]:
    scripts = {
        "acme/parrot": [_delta(said), _end()],
        "slow": [_delta("The beginning")],
        "cut": [_delta("Half an ans")],
        "thinker": [
            _delta(delta={"reasoning": "Let me see."}),
            _delta("Seen.", sources=["http://s/1"]),
            _end(),
        ],
        "caller": [CALL, _end("tool_calls")],
        "escape": [_delta("\x1b[31mred\x1b[0m\x07"), _end()],
        "filtered": [_delta("I will n"), _end("content_filter")],
        "fickle": [_delta("Thinking..."), _delta("Done.", void="the app replaced its text"), _end()],
        "quiet": [_end("length")],
    }
    return scripts.get(model, [_delta("Hello "), _delta("world"), _end()])


def _job_script(model: str) -> list[dict[str, Any]]:
    progress = [{"stage": "queued", "position": 3}, {"stage": "running", "fraction": 0.5}]
    results = {
        "director": {"media": base64.b64encode(FILM).decode(), "kind": "video"},
        "voice": {"media": base64.b64encode(SOUND).decode(), "kind": "audio"},
        "scribe": {"text": "Good morning."},
    }
    picture = {"media": base64.b64encode(PIXEL).decode(), "kind": "image"}
    if model == "fickle-scribe":
        return [{"text": "Good mourning"}, {"void": "heard it again"}, results["scribe"], {"finish": "stop"}]
    return [*progress, results.get(model, picture), {"finish": "stop"}]


class AcmeServer:
    """The server. `requests` are the bodies that came, `gone` is set when a caller of `slow` hung up."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.tokens: list[str | None] = []
        self.gone = threading.Event()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                self._send(200, json.dumps(MODELS).encode(), "application/json")

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                owner.requests.append(body)
                owner.tokens.append(self.headers.get("authorization"))
                if body["model"] == "down" or (body["model"] == "moody" and len(owner.requests) == 2):
                    self._send(500, b'{"error": "out of order"}', "application/json")
                elif self.path.endswith("/jobs"):
                    lines = [f"{json.dumps(line)}\n" for line in _job_script(body["model"])]
                    self._stream("application/x-ndjson", lines)
                else:
                    self._chat(body)

            def _chat(self, body: dict[str, Any]) -> None:
                said = body["messages"][-1]["content"]
                script = _chat_script(body["model"], said if isinstance(said, str) else "(parts)")
                lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in script]
                self._stream("text/event-stream", lines, wait=body["model"] == "slow")

            def _stream(self, kind: str, lines: list[str], *, wait: bool = False) -> None:
                self.send_response(200)
                self.send_header("content-type", kind)
                self.end_headers()
                for line in lines:
                    self.wfile.write(line.encode())
                    self.wfile.flush()
                if wait:
                    self.connection.recv(1)  # returns when the other side closes
                    owner.gone.set()

            def _send(self, status: int, body: bytes, kind: str) -> None:
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> AcmeServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[AcmeServer]:
    with AcmeServer() as running:
        yield running


Install = Callable[..., None]


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A folder on the path of the command line's process, as an installer would leave it."""
    folder = tmp_path / "packages"
    folder.mkdir()
    return folder


@pytest.fixture
def install(packages: Path) -> Install:
    """Puts a distribution there: a module's source and its entry points."""

    def put(name: str, source: str, points: str) -> None:
        (packages / f"{name}.py").write_text(source)
        info = packages / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "RECORD").write_text(f"{name}.py,,\n{info.name}/METADATA,,\n{info.name}/RECORD,,\n")
        (info / "INSTALLER").write_text("pip\n")
        (info / "entry_points.txt").write_text(points)

    return put


@pytest.fixture
def acme(install: Install, server: AcmeServer) -> AcmeServer:
    """The provider `acme`, installed and pointed at the server."""
    source = (Path(__file__).parent / "installed" / "acme.py").read_text()
    install("acme", source, "[plugmux]\nacme = acme\n")
    return server


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where the processes of all tests share their compiled files."""
    return str(tmp_path_factory.mktemp("compiled"))


NOT_INHERITED = ("PLUGMUX_", "HF_", "HUGGING", "PYTHON", "NO_COLOR")


@pytest.fixture
def environment(packages: Path, home: Path, server: AcmeServer, compiled: str) -> dict[str, str]:
    """What the process sees: no other provider, no other home."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(NOT_INHERITED)}
    return inherited | {
        "PYTHONPYCACHEPREFIX": compiled,
        "PYTHONPATH": str(packages),
        "PLUGMUX_HOME": str(home),
        "HF_HOME": str(home / "hf"),
        "PLUGMUX_DISABLE": "hf-chat,cohere-chat,hf-inference,hf-media,hf-space",
        "PLUGMUX_ACME_BASE_URL": server.url,
        "PYTHONUTF8": "1",
        "TERM": "xterm-256color",
        "COLUMNS": "100",
    }


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(environment: dict[str, str], tmp_path: Path) -> Run:
    """Runs the command line with pipes for its streams, in a folder of its own."""
    folder = tmp_path / "work"
    folder.mkdir()

    def start(*words: str, stdin: str | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "plugmux.cli", *words],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=folder,
            env=environment | variables,
        )

    return start


@pytest.fixture
def work(tmp_path: Path, run: Run) -> Path:
    """The folder in which the command line runs."""
    return tmp_path / "work"


class Screen:
    """The command line on a terminal of its own: what it shows so far is `shown`."""

    def __init__(self, words: tuple[str, ...], env: dict[str, str], folder: Path) -> None:
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            os.chdir(folder)
            os.execve(sys.executable, [sys.executable, "-m", "plugmux.cli", *words], env)
        self.shown = ""
        self._seen = 0

    def until(self, text: str, seconds: float = 30.0) -> None:
        """Read until `text` is shown after what was waited for last, or to the end."""
        assert self._comes(text, seconds), f"no {text!r} in {self.shown[self._seen :]!r}"

    def _comes(self, text: str, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while text not in self.shown[self._seen :]:
            if not select.select([self._terminal], [], [], max(0.0, end - time.monotonic()))[0]:
                return False
            try:
                read = os.read(self._terminal, 65536)
            except OSError:  # Linux: the other side is closed
                read = b""
            if not read:
                return True
            self.shown += read.decode("utf-8", "replace")
        self._seen = self.shown.index(text, self._seen) + len(text)
        return True

    def type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def ctrl_c(self) -> None:
        self.type("\x03")

    def ctrl_c_until(self, text: str) -> None:
        """Press Ctrl-C until it is seen: Python overlooks one that comes while readline reads a key."""
        for _ in range(60):
            self.ctrl_c()
            if self._comes(text, 0.5):
                return
        raise AssertionError(f"no {text!r} in {self.shown[self._seen :]!r}")

    def end(self) -> int:
        """Read to the end and give the exit code."""
        self.until("\0nothing shows this")
        _, status = os.waitpid(self._pid, 0)
        os.close(self._terminal)
        self._pid = 0
        return os.waitstatus_to_exitcode(status)

    def close(self) -> None:
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            os.close(self._terminal)


@pytest.fixture
def screen(environment: dict[str, str], work: Path) -> Iterator[Callable[..., Screen]]:
    """Starts the command line on a pseudo-terminal."""
    started: list[Screen] = []

    def start(*words: str, **variables: str) -> Screen:
        started.append(Screen(words, environment | variables, work))
        return started[-1]

    yield start
    for one in started:
        one.close()
