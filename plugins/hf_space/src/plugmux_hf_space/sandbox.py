"""This plugin's part of the local sandbox: the Hub's facts on Spaces, and Gradio apps behind them.

Below `/hf-space/`: `hub/api/spaces/{owner}/{name}` (the Hub) and `app/{owner}/{name}/…` (an app that speaks
gradio 6's protocol). The known Spaces make pictures, `sandbox/chat` talks, and `sandbox/fault-NAME` fails
as its name says. Every answer says that it is the sandbox's.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from plugmux.sandbox import answer, fault_models, picture, pieces
from plugmux_hf_space._known import KNOWN

if TYPE_CHECKING:
    from plugmux.sandbox import Fault, Sandbox

__all__ = ["environment", "routes"]

PREFIX = "/hf-space"
CHAT = "sandbox/chat"
STEPS = 4


def environment(url: str) -> dict[str, str]:
    """What points the provider here. The token is the sandbox's own, so that no real one comes by."""
    return {
        "PLUGMUX_HF_SPACE_HUB_URL": f"{url}{PREFIX}/hub",
        "PLUGMUX_HF_SPACE_SPACES": CHAT,
        "PLUGMUX_HF_SPACE_TOKEN": "no-real-token",
    }


def routes(box: Sandbox) -> list[BaseRoute]:
    """The routes, mounted below `/hf-space/`."""
    service = _Service(box)
    app = "/app/{owner}/{name}"
    table = (
        ("GET", "/hub/api/spaces/{owner}/{name}", service.facts),
        ("GET", f"{app}/config", service.config),
        ("GET", f"{app}/gradio_api/info", service.info),
        ("POST", f"{app}/gradio_api/queue/join", service.join),
        ("GET", f"{app}/gradio_api/queue/data", service.data),
        ("POST", f"{app}/gradio_api/cancel", service.cancel),
        ("POST", f"{app}/gradio_api/upload", service.upload),
        ("GET", f"{app}/gradio_api/file={{path:path}}", service.file),
    )
    return [Route(f"{PREFIX}{path}", endpoint, methods=[method]) for method, path, endpoint in table]


def _space(request: Request) -> str:
    return f"{request.path_params['owner']}/{request.path_params['name']}"


class _Service:
    """The routes' functions. Jobs wait by session for the client to fetch their messages."""

    def __init__(self, box: Sandbox) -> None:
        self._box = box
        self._known = {known.space: known for known in KNOWN}
        self._jobs: dict[str, Sequence[Any]] = {}

    async def facts(self, request: Request) -> Response:
        space = _space(request)
        if space != CHAT and space not in self._known and space not in fault_models():
            return JSONResponse({"error": "Repository not found"}, 404)
        base = str(request.base_url).rstrip("/")
        return JSONResponse(
            {
                "id": space,
                "sdk": "gradio",
                "host": f"{base}{PREFIX}/app/{space}",
                "runtime": {"stage": "RUNNING", "hardware": {"current": "cpu-basic"}},
            }
        )

    async def config(self, request: Request) -> Response:
        return JSONResponse(_config(_space(request), self._is_chat(_space(request))))

    async def info(self, request: Request) -> Response:
        return JSONResponse(_info(_space(request), self._is_chat(_space(request))))

    async def join(self, request: Request) -> Response:
        body = await request.json()
        session = str(body.get("session_hash"))
        self._jobs[session] = list(body.get("data") or ())
        return JSONResponse({"event_id": f"job-{session}"})

    async def data(self, request: Request) -> Response:
        space, session = _space(request), request.query_params.get("session_hash", "")
        inputs = self._jobs.pop(session, None)
        if inputs is None:
            return JSONResponse({"detail": "Session not found."}, 404)
        prompt = next((value for value in inputs if isinstance(value, str)), "")
        job = f"job-{session}"
        messages = _talk(job, prompt) if self._is_chat(space) else _draw(job)
        return self._box.reply(
            space, _events(messages), error=_error, is_last=lambda chunk: b"process_completed" in chunk
        )

    async def cancel(self, request: Request) -> Response:
        self._jobs.pop(str((await request.json()).get("session_hash")), None)
        return JSONResponse({"success": True})

    async def upload(self, request: Request) -> Response:
        await request.body()
        return JSONResponse(["/sandbox/upload.png"])

    async def file(self, request: Request) -> Response:
        if not request.path_params["path"].endswith("sandbox.png"):
            return JSONResponse({"detail": "File not allowed"}, 403)
        return Response(picture(), media_type="image/png")

    def _is_chat(self, space: str) -> bool:
        return space not in self._known


def _error(fault: Fault) -> dict[str, Any]:
    return {"detail": fault.message}


def _talk(job: str, prompt: str) -> list[dict[str, Any]]:
    said = pieces(answer(prompt))
    first = {"msg": "process_generating", "event_id": job, "output": {"data": [said[0], None]}}
    rest = [
        {"msg": "process_generating", "event_id": job, "output": {"data": [[["append", [], piece]], []]}}
        for piece in said[1:]
    ]
    return [*_begin(job), first, *rest, *_end(job, ["".join(said), None])]


def _draw(job: str) -> list[dict[str, Any]]:
    image = {"path": "/sandbox.png", "url": None, "meta": {"_type": "gradio.FileData"}}
    steps = [
        {"msg": "progress", "event_id": job, "progress_data": [_progress(step)]}
        for step in range(1, STEPS + 1)
    ]
    return [*_begin(job), *steps, *_end(job, [image, 42])]


def _progress(step: int) -> dict[str, Any]:
    return {"index": step, "length": STEPS, "unit": "steps", "desc": "plugmux sandbox"}


def _begin(job: str) -> list[dict[str, Any]]:
    return [
        {"msg": "estimation", "event_id": job, "rank": 0, "queue_size": 1, "rank_eta": 0.5},
        {"msg": "process_starts", "event_id": job, "eta": 0.5},
    ]


def _end(job: str, data: list[Any]) -> list[dict[str, Any]]:
    done = {"msg": "process_completed", "event_id": job, "output": {"data": data}, "success": True}
    return [done, {"msg": "close_stream", "event_id": None}]


async def _events(messages: Sequence[Mapping[str, Any]]) -> AsyncIterator[bytes]:
    for message in messages:
        yield f"data: {json.dumps(message)}\n\n".encode()


_COMPONENTS: Sequence[tuple[str, Mapping[str, Any]]] = (
    ("textbox", {"label": "Prompt"}),
    ("image", {"label": "Image"}),
    ("slider", {"label": "Seed", "minimum": 0, "maximum": 2147483647, "step": 1, "value": 0}),
    ("checkbox", {"label": "Randomize seed", "value": True}),
    ("slider", {"label": "Width", "minimum": 64, "maximum": 2048, "step": 32, "value": 1024}),
    ("slider", {"label": "Height", "minimum": 64, "maximum": 2048, "step": 32, "value": 1024}),
    ("slider", {"label": "Guidance scale", "minimum": 1, "maximum": 15, "step": 0.1, "value": 3.5}),
    ("slider", {"label": "Number of inference steps", "minimum": 1, "maximum": 50, "step": 1, "value": 28}),
    ("textbox", {"label": "Negative prompt", "value": ""}),
    ("state", {}),
    ("image", {"label": "Result"}),
    ("textbox", {"label": "Response"}),
)


def _inputs(space: str, is_chat: bool) -> list[int]:
    if is_chat:
        return [0, 9]
    return [0, 2, 3, 4, 5, 6, 7] + ([1] if "Kontext" in space else []) + ([8] if "stable" in space else [])


def _config(space: str, is_chat: bool) -> dict[str, Any]:
    return {
        "version": "6.0.0",
        "protocol": "sse_v3",
        "api_prefix": "/gradio_api",
        "app_id": 1,
        "title": f"plugmux sandbox: {space}",
        "mode": "chat_interface" if is_chat else "blocks",
        "components": [
            {"id": i, "type": kind, "props": dict(props)} for i, (kind, props) in enumerate(_COMPONENTS)
        ],
        "dependencies": [
            {
                "id": 0,
                "api_name": "respond" if is_chat else "infer",
                "inputs": _inputs(space, is_chat),
                "outputs": [11, 9] if is_chat else [10, 2],
                "targets": [[0, "submit"]],
                "backend_fn": True,
                "types": {"generator": True},
                "api_visibility": "public",
            }
        ],
    }


def _info(space: str, is_chat: bool) -> dict[str, Any]:
    shown = [_COMPONENTS[i] for i in _inputs(space, is_chat) if _COMPONENTS[i][0] != "state"]
    parameters: list[dict[str, Any]] = [
        {
            "label": props.get("label"),
            "parameter_name": str(props.get("label")).lower().replace(" ", "_"),
            "parameter_has_default": "value" in props,
            "parameter_default": props.get("value"),
            "type": {},
            "component": kind.title(),
        }
        for kind, props in shown
    ]
    name = "/respond" if is_chat else "/infer"
    return {"named_endpoints": {name: {"parameters": parameters, "returns": []}}, "unnamed_endpoints": {}}
