"""An app by script, a Hub by script, sessions, and real Gradio servers for whoever has them."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import define, evolve, field

from plugmux.cache import Cache
from plugmux.credentials import Credential
from plugmux.events import Event
from plugmux.http import Http
from plugmux.messages import messages_from
from plugmux.model import Model, Task
from plugmux.requests import Limits, Request, options_from
from plugmux.session import Session
from plugmux.stopwatch import Stopwatch
from plugmux.testing import FaultServer, SeenRequest, replies
from plugmux.testing.replies import Reply
from plugmux.transport import Transport
from plugmux_hf_space import plugin

APPS = Path(__file__).parent / "apps"
PYTHONS = {
    "newest": "PLUGMUX_TEST_GRADIO_PYTHON",
    "5": "PLUGMUX_TEST_GRADIO5_PYTHON",
    "4": "PLUGMUX_TEST_GRADIO4_PYTHON",
}
JOB = "job-1"
LIMITS = Limits(first_sign=20.0, idle=20.0, total=40.0)
PICTURE = b"\x89PNG\r\n\x1a\n" + b"0" * 64


@define(kw_only=True)
class Script:
    """A Gradio app of one endpoint, and beside it the Hub that lists it.

    `inputs` and `outputs` are `(kind, name, props)`; a State has no name. `messages` are the job's, as
    objects or as bytes; `after` replaces the stream's end. `answers` are replies by path, before all else.
    `root` is the path below which the app is.
    """

    inputs: list[tuple[str, str, dict[str, Any]]] = field(factory=lambda: [("textbox", "prompt", {})])
    outputs: list[tuple[str, str, dict[str, Any]]] = field(factory=lambda: [("textbox", "answer", {})])
    mode: str = "blocks"
    run_id: int = 1
    version: str = "6.31.0"
    protocol: str = "sse_v3"
    endpoint: str = "run"
    more: dict[str, Any] = field(factory=dict)
    messages: list[Any] = field(factory=list)
    after: list[Any] | None = None
    pause: float = 0.0
    join: Any = field(factory=lambda: {"event_id": JOB})
    files: dict[str, bytes] = field(factory=dict)
    spaces: dict[str, dict[str, Any]] = field(factory=dict)
    answers: dict[str, Any] = field(factory=dict)
    root: str = ""

    def reply(self, request: SeenRequest) -> Reply:
        path = request.path.partition("?")[0].removeprefix(self.root)
        if path in self.answers:
            return replies.chosen(self.answers[path], request)
        if path.startswith("/api/spaces/"):
            return self._fact(path.removeprefix("/api/spaces/"), request)
        if path.startswith("/gradio_api/file="):
            return self._file(path.removeprefix("/gradio_api/file="))
        match path:
            case "/config":
                return replies.json(self.config())
            case "/gradio_api/info":
                return replies.json(self.info())
            case "/gradio_api/queue/join":
                return replies.json(self.join)
            case "/gradio_api/queue/data":
                return replies.stream([_event(m) for m in self.messages], after=self.after, pause=self.pause)
            case "/gradio_api/cancel":
                return replies.json({"success": True})
            case "/gradio_api/upload":
                return replies.json(["/tmp/gradio/in.png"])
        return replies.json({"detail": "Not Found"}, status=404)

    def config(self) -> dict[str, Any]:
        parts = [*self.inputs, *self.outputs]
        components = [
            {"id": i, "type": kind, "props": {"label": name, **props}}
            for i, (kind, name, props) in enumerate(parts)
        ]
        dependency = {
            "id": 3,
            "api_name": self.endpoint,
            "inputs": list(range(len(self.inputs))),
            "outputs": list(range(len(self.inputs), len(parts))),
            "targets": [[0, "click"]],
            "backend_fn": True,
            "types": {"generator": True},
            "api_visibility": "public",
        }
        return {
            "version": self.version,
            "protocol": self.protocol,
            "api_prefix": "/gradio_api",
            "app_id": self.run_id,
            "mode": self.mode,
            "components": components,
            "dependencies": [dependency],
            **self.more,
        }

    def info(self) -> dict[str, Any]:
        parameters = [
            {
                "label": name,
                "parameter_name": name,
                "parameter_has_default": "value" in props,
                "parameter_default": props.get("value"),
                "type": {},
            }
            for kind, name, props in self.inputs
            if kind != "state"
        ]
        return {"named_endpoints": {f"/{self.endpoint}": {"parameters": parameters, "returns": []}}}

    def _fact(self, space: str, request: SeenRequest) -> Reply:
        if space not in self.spaces:
            return replies.json({"error": "Repository not found"}, status=404)
        host = f"http://{request.headers['host']}"
        return replies.json({"id": space, "sdk": "gradio", "host": host, **self.spaces[space]})

    def _file(self, path: str) -> Reply:
        if path not in self.files:
            return replies.json({"detail": f"File not allowed: {path}"}, status=403)
        return replies.answer(self.files[path], content_type="application/octet-stream")


def _event(message: Any) -> bytes:
    if isinstance(message, bytes):
        return message
    body = {"event_id": JOB, **message} if isinstance(message, dict) else message
    return f"data: {json.dumps(body)}\n\n".encode()


class Words:
    """The messages of a job, short."""

    @property
    def queued(self) -> dict[str, Any]:
        return {"msg": "estimation", "rank": 2, "queue_size": 3, "rank_eta": 4.5}

    @property
    def starts(self) -> dict[str, Any]:
        return {"msg": "process_starts", "eta": 1.5}

    @property
    def close(self) -> dict[str, Any]:
        return {"msg": "close_stream", "event_id": None}

    @property
    def heartbeat(self) -> dict[str, Any]:
        return {"msg": "heartbeat", "event_id": None}

    def generating(self, *data: Any) -> dict[str, Any]:
        return {"msg": "process_generating", "output": {"data": list(data)}, "success": True}

    def done(self, *data: Any) -> dict[str, Any]:
        return {"msg": "process_completed", "output": {"data": list(data)}, "success": True}

    def failed(self, error: str | None, title: str | None = None) -> dict[str, Any]:
        output = {"error": error, "title": title}
        return {"msg": "process_completed", "output": output, "success": False}

    def file(self, path: str | None, url: str | None = None, *, stream: bool = False) -> dict[str, Any]:
        return {"path": path, "url": url, "is_stream": stream, "meta": {"_type": "gradio.FileData"}}


@pytest.fixture
def says() -> Words:
    return Words()


@pytest.fixture
def picture() -> bytes:
    return PICTURE


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def painter(script: Script) -> Script:
    """An app that answers with a picture and a number."""
    script.outputs = [("image", "Result", {}), ("number", "Seed", {})]
    return script


@pytest.fixture
async def server(anyio_backend: str, script: Script) -> AsyncIterator[FaultServer]:
    async with FaultServer(script.reply) as server:
        yield server


@pytest.fixture
async def open_session(anyio_backend: str, tmp_path: Path) -> AsyncIterator[Callable[..., Session]]:
    """Makes sessions; those of one test share their cache and what is kept open."""
    transports: list[Transport] = []
    first: list[Session] = []

    def open_one(
        *,
        credential: Credential | None = None,
        model: Model | None = None,
        token: str | None = None,
        limits: Limits = LIMITS,
        clock: Callable[[], float] = time.monotonic,
        **settings: Any,
    ) -> Session:
        transport = Transport()
        transports.append(transport)
        watch = Stopwatch(limits, clock)
        session = Session(
            provider="hf-space",
            settings=settings,
            http=Http(transport, watch, credential),
            cache=Cache(tmp_path / "cache"),
            credential=credential,
            model=model,
            token=token,
            limits=limits,
            watch=watch,
            transport=transport,
            environ={},
            home=tmp_path,
        )
        if first:
            session._resources = first[0]._resources
        else:
            first.append(session)
        return session

    yield open_one
    for transport in transports:
        await transport.aclose()


@pytest.fixture
async def ask(open_session: Callable[..., Session]) -> Callable[..., Any]:
    """Asks an app as the core does: looks the name up, unless a model is given, then streams. Gives the
    generator of events."""

    async def ask_one(
        name: str,
        messages: Any = "hello",
        *,
        task: str | None = None,
        conversation: Any = None,
        settings: dict[str, Any] | None = None,
        session: Session | None = None,
        model: Model | None = None,
        **options: Any,
    ) -> AsyncIterator[Event]:
        session = session or open_session(**(settings or {}))
        model = model or (await plugin.get_models(session, name))[0]
        model = evolve(model, provider="hf-space")
        request = Request(
            id="request-1",
            model=model,
            task=Task(task) if task else model.tasks[0],
            messages=messages_from(messages),
            options=options_from(options),
            conversation=conversation,
        )
        session.model = model
        return plugin.create_stream(request, session)

    return ask_one


@pytest.fixture
def collect(ask: Callable[..., Any]) -> Callable[..., Any]:
    """All events of one answer."""

    async def collect_all(name: str, messages: Any = "hello", **more: Any) -> list[Event]:
        return [event async for event in await ask(name, messages, **more)]

    return collect_all


class Gradio:
    """Real apps in a process of their own: `urls` by name."""

    def __init__(self, python: str, folder: Path, names: list[str]) -> None:
        self.python = python
        environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "STEP_DELAY": "0.05"}
        self.process = subprocess.Popen(
            [python, str(APPS / "serve.py"), str(folder), *names],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environ,
            text=True,
        )
        assert self.process.stdout is not None
        lines = iter(self.process.stdout.readline, "")
        said = next((line for line in lines if line.startswith('{"version"')), None)
        assert said is not None, f"the Gradio apps of {folder} did not start"
        facts = json.loads(said)
        self.version: str = facts["version"]
        self.urls: dict[str, str] = facts["urls"]

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


def start(variable: str, folder: Path, names: list[str]) -> Gradio:
    python = os.environ.get(variable)
    if not python:
        pytest.skip(f"{variable} is not set: it names a Python that has gradio")
    return Gradio(python, folder, names)


@pytest.fixture(
    scope="session",
    params=[
        "newest",
        pytest.param("5", marks=pytest.mark.real),
        pytest.param("4", marks=pytest.mark.real),
    ],
)
def gradio(request: pytest.FixtureRequest) -> Iterator[Gradio]:
    """The apps beside this file, under one version of gradio."""
    names = sorted(path.stem for path in APPS.glob("*.py") if path.stem != "serve")
    apps = start(PYTHONS[request.param], APPS, names)
    yield apps
    apps.close()


@pytest.fixture
def doomed(gradio: Gradio) -> Iterator[Gradio]:
    """One app in a process that the test may kill."""
    apps = Gradio(gradio.python, APPS, ["faults"])
    yield apps
    apps.close()


@pytest.fixture(
    scope="session",
    params=[pytest.param(name, marks=pytest.mark.real) for name in PYTHONS],
)
def shared_apps(request: pytest.FixtureRequest, shared: Path) -> Iterator[Gradio]:
    """The apps beside the project, shaped like real Spaces."""
    folder = shared / "spaces" / "apps"
    names = [path.stem for path in sorted(folder.glob("[a-z]*_*.py")) if not path.stem.startswith("h_")]
    apps = start(PYTHONS[request.param], folder, names)
    yield apps
    apps.close()
