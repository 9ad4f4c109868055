"""This plugin's part of the local sandbox: the Hub's mapping and every provider of the table.

Below `/hf-media/`: `{provider}/…` as behind the router, `hub/api/models…`, and `files/` with a picture, a
film and a sound. Queues take two questions before they are done. Every answer is synthetic.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from itertools import count
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from plugmux.sandbox import picture, sound
from plugmux_hf_media import _played
from plugmux_hf_media._film import film

if TYPE_CHECKING:
    from plugmux.sandbox import Sandbox

__all__ = ["environment", "routes"]

PREFIX = "/hf-media"
FILES: Mapping[str, tuple[str, Callable[[], bytes]]] = {
    "picture.png": ("image/png", picture),
    "film.mp4": ("video/mp4", film),
    "sound.wav": ("audio/wav", sound),
}
PIECES = 8
"""Pieces that an answer comes in, so that it can be cut in the middle."""


def environment(url: str) -> dict[str, str]:
    """What points the provider here. The token is the sandbox's own, so that no real one comes by."""
    return {
        "PLUGMUX_HF_MEDIA_ROUTER_URL": f"{url}{PREFIX}",
        "PLUGMUX_HF_MEDIA_HUB_URL": f"{url}{PREFIX}/hub",
        "PLUGMUX_HF_MEDIA_TOKEN": "sandbox-token",
    }


def routes(box: Sandbox) -> list[BaseRoute]:
    """The routes, mounted below `/hf-media/`."""
    service = _Service(box)
    jobs = f"{PREFIX}/{{provider}}/{{path:path}}"
    return [
        Route(f"{PREFIX}/hub/api/models", service.models),
        Route(f"{PREFIX}/hub/api/models/{{id:path}}", service.model),
        Route(f"{PREFIX}/files/{{name}}", service.file),
        Route(f"{jobs}/cancel", service.cancel, methods=["POST", "PUT"]),
        Route(jobs, service.submit, methods=["POST"]),
        Route(jobs, service.follow, methods=["GET"]),
    ]


class _Service:
    """The endpoints. What they say is in `_played`, how they fail is the box's."""

    def __init__(self, box: Sandbox) -> None:
        self._box = box
        self._jobs: dict[str, _played.Job] = {}
        self._numbers = count(1)

    async def models(self, request: Request) -> Response:
        task = request.query_params.get("pipeline_tag")
        rows = (_played.row(name, as_list=True) for name in _played.all_ids())
        return JSONResponse([row for row in rows if row["pipeline_tag"] == task])

    async def model(self, request: Request) -> Response:
        name = request.path_params["id"]
        if name in _played.all_ids():
            return JSONResponse(_played.row(name, as_list=False))
        return _absent(name)

    async def file(self, request: Request) -> Response:
        if request.path_params["name"] not in FILES:
            return _absent(request.path_params["name"])
        return _file(request.path_params["name"])

    async def submit(self, request: Request) -> Response:
        """A wish for something to be made, in whatever shape its provider takes it."""
        provider, path = request.path_params["provider"], request.path_params["path"]
        name = _played.model_named(provider, path, await request.body())
        task = _played.task_of(provider, name)
        if task is None:
            return _absent(f"{name or path} at {provider}")
        answer = self._answer(request, _played.Job(provider, task))
        kind = answer.media_type or answer.headers["content-type"]
        return self._box.reply(name, _sliced(bytes(answer.body)), media_type=kind)

    async def follow(self, request: Request) -> Response:
        """A question for a job, or, at fal-ai, for its result."""
        url = str(request.url)
        name = next((name for name in self._jobs if name in url), None)
        if name is None:
            return _absent(request.path_params["path"])
        job = self._jobs[name]
        if job.provider == "fal-ai" and not request.path_params["path"].endswith("/status"):
            return JSONResponse(_played.result("fal-ai", job.task, _files(request)))
        job.asked += 1
        return JSONResponse(_played.status(job, name, _files(request)))

    async def cancel(self, request: Request) -> Response:
        for name, job in self._jobs.items():
            job.cancelled = job.cancelled or request.path_params["path"].endswith(name)
        return JSONResponse({"status": "CANCELLATION_REQUESTED"})

    def _answer(self, request: Request, job: _played.Job) -> Response:
        """The first answer: the result, or a job to be followed."""
        if job.is_queued:
            name = f"sandbox-{next(self._numbers):04}"
            self._jobs[name] = job
            return JSONResponse(_played.accepted(job, name))
        if _played.is_bytes(job):
            return _file(_played.file_of(job.task))
        return JSONResponse(_played.result(job.provider, job.task, _files(request)))


def _file(name: str) -> Response:
    kind, make = FILES[name]
    return Response(make(), media_type=kind)


def _absent(what: str) -> Response:
    return JSONResponse({"error": f"plugmux sandbox: there is no {what}"}, 404)


def _files(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}{PREFIX}/files"


async def _sliced(body: bytes) -> AsyncIterator[bytes]:
    size = max(1, -(-len(body) // PIECES))
    for start in range(0, len(body), size):
        yield body[start : start + size]
