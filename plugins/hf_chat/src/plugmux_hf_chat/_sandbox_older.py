"""The sandbox's server of 2024, from documents: no newer routes, and the event types of its time."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from attrs import define, field
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from plugmux.sandbox import picture, pieces
from plugmux_hf_chat._sandbox_rooms import Room, Rooms, Run, answer_text, kept_file
from plugmux_hf_chat._sandbox_today import form_of, is_last, line_of, message_error, model_fault
from plugmux_hf_chat._wire import IMAGE_TOOL

if TYPE_CHECKING:
    from plugmux.sandbox import Sandbox

__all__ = ["older_routes"]

MODELS = [
    {"id": "command-a-03-2025", "name": "command-a-03-2025", "tools": True, "multimodal": False},
    {"id": "sandbox/older-reasoner", "name": "sandbox/older-reasoner", "tools": False},
]


def older_routes(box: Sandbox) -> list[Route]:
    return OlderServer(box).routes()


@define(eq=False)
class OlderServer:
    box: Sandbox
    rooms: Rooms = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.rooms = Rooms(self.box.timings.token)

    def routes(self) -> list[Route]:
        one = "/conversation/{id}"
        return [
            Route("/api/models", self.models),
            Route("/conversation", self.create, methods=["POST"]),
            Route(one, self.message, methods=["POST"]),
            Route(f"{one}/__data.json", self.page_data),
            Route(f"{one}/stop-generating", self.stop, methods=["POST"]),
            Route(f"{one}/output/{{sha}}", self.output),
            Route("/{rest:path}", self.nothing),
        ]

    def _room(self, request: Request) -> Room | None:
        room = self.rooms.by_id.get(request.path_params["id"])
        return room if room and room.owner == request.cookies.get("hf-chat") else None

    async def nothing(self, request: Request) -> Response:
        return HTMLResponse("<!doctype html><html><title>404</title></html>", 404)

    async def models(self, request: Request) -> Response:
        return JSONResponse(MODELS)

    async def create(self, request: Request) -> Response:
        body = await request.json()
        if body.get("model") not in {model["id"] for model in MODELS}:
            return message_error(400, "Invalid request")
        owner = request.cookies.get("hf-chat") or str(uuid.uuid4())
        room = self.rooms.create(owner, body["model"], body.get("preprompt") or "")
        answer = JSONResponse({"conversationId": room.id})
        answer.set_cookie("hf-chat", owner, max_age=14 * 24 * 3600)
        return answer

    async def page_data(self, request: Request) -> Response:
        room = self._room(request)
        if room is None:
            return message_error(404, "Conversation not found")
        shown = [{"id": m["id"], "from": m["from"], "ancestors": m["ancestors"]} for m in room.messages]
        data: list[Any] = []
        _flatten({"messages": shown, "title": room.title}, data)
        return JSONResponse({"type": "data", "nodes": [None, {"type": "data", "data": data}]})

    async def message(self, request: Request) -> Response:
        if not request.headers.get("origin"):
            return PlainTextResponse("Cross-site POST form submissions are forbidden", 403)
        room = self._room(request)
        if room is None:
            return message_error(404, "Conversation not found")
        data, _ = form_of(request.headers["content-type"], await request.body())
        parent = room.find((data or {}).get("id"))
        if data is None or parent is None:
            return message_error(400, "Invalid request")
        question = room.add(parent, "user", str(data.get("inputs")))
        entry = room.add(question, "assistant", "")
        run = Run(str(uuid.uuid4()))
        self.rooms.start(room, entry, run, list(_script(room, question, data)))
        return self.box.reply(
            room.model, _followed(run), media_type="text/event-stream", error=model_fault, is_last=is_last
        )

    async def stop(self, request: Request) -> Response:
        room = self._room(request)
        for run in room.runs.values() if room else ():
            run.stopped = True
        return Response() if room else message_error(404, "Conversation not found")

    async def output(self, request: Request) -> Response:
        room = self._room(request)
        content = room.files.get(request.path_params["sha"]) if room else None
        return Response(content, media_type="image/png") if content else message_error(404, "File not found")


async def _followed(run: Run) -> AsyncIterator[bytes]:
    async for update in run.follow():
        if update is not None:
            yield line_of(update)


def _script(room: Room, question: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    yield {"type": "status", "status": "started"}
    if room.title == "New Chat":
        yield {"type": "title", "title": "Older sandbox chat"}
    if data.get("web_search"):
        found = [{"title": "Sandbox page", "link": "https://example.com/older", "hostname": "example.com"}]
        yield {"type": "webSearch", "messageType": "update", "message": "Searching", "args": ["nothing"]}
        yield {"type": "webSearch", "messageType": "sources", "message": "sources", "sources": found}
    if IMAGE_TOOL in data.get("tools", ()):
        sha = kept_file(room, picture())
        yield {"type": "file", "name": "picture.png", "sha": sha, "mime": "image/png"}
    if "reasoner" in room.model:
        yield {"type": "reasoning", "subtype": "status", "status": "Thinking"}
        yield {"type": "reasoning", "subtype": "stream", "token": "Synthetic thoughts."}
    final = answer_text(room.model, str(question["content"]), room.turn_of(question), 0)
    for piece in pieces(final):
        yield {"type": "stream", "token": piece}
    yield {"type": "finalAnswer", "text": final, "interrupted": False}
    yield {"type": "status", "status": "finished"}


def _flatten(value: Any, flat: list[Any]) -> int:
    """Put a value into the flat list of a page's data; its index."""
    index = len(flat)
    flat.append(None)
    match value:
        case dict():
            flat[index] = {name: _flatten(inner, flat) for name, inner in value.items()}
        case list():
            flat[index] = [_flatten(inner, flat) for inner in value]
        case _:
            flat[index] = json.loads(json.dumps(value))
    return index
