"""The sandbox's server of today. Only `plugmux_hf_chat.sandbox` imports it."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Mapping
from email.parser import BytesParser
from typing import TYPE_CHECKING, Any

from attrs import define, field
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from plugmux.sandbox import fault_models
from plugmux_hf_chat._sandbox_rooms import KEEP_ALIVE, SEARCH, Room, Rooms, Run, kept_file, script

if TYPE_CHECKING:
    from plugmux.sandbox import Fault, Sandbox

__all__ = ["TodayServer", "form_of", "line_of", "model_fault"]

TAIL = " " * 4096


def _model(id: str, **flags: bool) -> dict[str, Any]:
    known = {"multimodal": False, "supportsTools": False, "supportsReasoning": False, "isRouter": False}
    return {"id": id, "name": id, "displayName": id, "unlisted": False, **known, **flags}


MODELS = [
    _model("omni", multimodal=True, supportsTools=True, isRouter=True),
    _model("sandbox/plain"),
    _model("sandbox/vision", multimodal=True),
    _model("sandbox/tools", supportsTools=True),
    _model("sandbox/reasoner", supportsReasoning=True),
    *(_model(name) for name in fault_models()),
]
NOT_LOGGED_IN = "You have to be logged in."


def message_error(status: int, message: str) -> JSONResponse:
    return JSONResponse({"message": message}, status)


def failed() -> JSONResponse:
    """What the server says to whatever its checks do not expect."""
    return JSONResponse({"message": "An error occurred", "errorId": str(uuid.uuid4())}, 500)


def wrapped(data: Any) -> JSONResponse:
    return JSONResponse({"json": data})


def line_of(update: Mapping[str, Any]) -> bytes:
    """One update as the stream spells it: short tokens padded with NUL, blanks after the final answer."""
    if update["type"] == "stream":
        update = {**update, "token": update["token"].ljust(16, "\0")}
    tail = TAIL if update["type"] == "finalAnswer" else ""
    return (json.dumps(update, separators=(",", ":")) + "\n" + tail).encode()


def model_fault(fault: Fault) -> Response:
    """A model's failure: status 200, and an error line in the stream."""
    update = {"type": "status", "status": "error", "message": f"{fault.status} {fault.message}"}
    failure = {**update, "statusCode": fault.status}
    return Response(
        line_of({"type": "status", "status": "started"}) + line_of(failure), media_type="application/jsonl"
    )


def is_last(chunk: bytes) -> bool:
    return b'"finished"' in chunk


@define(eq=False)
class TodayServer:
    """chat-ui of August 2026. `login`: writing needs the sandbox's two cookies."""

    box: Sandbox
    login: bool = False
    rooms: Rooms = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.rooms = Rooms(self.box.timings.token)

    def routes(self) -> list[Route]:
        one = "/conversation/{id}"
        return [
            Route("/api/v2/models", self.models),
            Route("/api/models", self.legacy_models),
            Route("/api/v2/feature-flags", self.flags),
            Route("/api/v2/user", self.user),
            Route("/api/v2/user/settings", self.user_settings, methods=["GET", "POST"]),
            Route("/api/mcp/servers", self.mcp_servers),
            Route("/api/v2/conversations/{id}", self.fetch),
            Route("/conversation", self.create, methods=["POST"]),
            Route("/login", self.log_in),
            Route(one, self.message, methods=["POST"]),
            Route(f"{one}/stop-generating", self.stop, methods=["POST"]),
            Route(f"{one}/stream", self.stream),
            Route(f"{one}/output/{{sha}}", self.output),
        ]

    # Who asks

    def _owner(self, request: Request) -> str | None:
        """The session; None for somebody who would have to log in."""
        cookie = request.cookies.get("hf-chat")
        if not self.login:
            return cookie or str(uuid.uuid4())
        pair = cookie, request.cookies.get("token")
        return "sandbox-session" if pair == ("sandbox-session", "sandbox-token") else None

    def _room(self, request: Request) -> Room | None:
        room = self.rooms.by_id.get(request.path_params["id"])
        return room if room is not None and room.owner == self._owner(request) else None

    def _refused(self, request: Request) -> Response | None:
        """The checks before a form is read: foreign origin first, then the login."""
        origin = request.headers.get("origin")
        if not origin:
            return PlainTextResponse("Non-JSON form requests need to have an origin", 403)
        if origin.partition("://")[2] != request.url.netloc:
            return PlainTextResponse("Invalid referer for POST request", 403)
        return PlainTextResponse(NOT_LOGGED_IN, 401) if self._owner(request) is None else None

    # Reading

    async def models(self, request: Request) -> Response:
        return wrapped(MODELS)

    async def legacy_models(self, request: Request) -> Response:
        return JSONResponse([{k: v for k, v in model.items() if k != "isRouter"} for model in MODELS])

    async def flags(self, request: Request) -> Response:
        return wrapped({"enableAssistants": False, "loginEnabled": self.login})

    async def user(self, request: Request) -> Response:
        known = self.login and self._owner(request)
        return wrapped({"id": "1", "username": "sandbox", "email": "sandbox@example.com"} if known else None)

    async def log_in(self, request: Request) -> Response:
        """What a browser is sent to: here everybody is let in at once."""
        page = HTMLResponse("<!doctype html><title>sandbox</title>Logged in to the plugmux sandbox.")
        page.set_cookie("hf-chat", "sandbox-session", max_age=14 * 24 * 3600, httponly=True)
        page.set_cookie("token", "sandbox-token", max_age=14 * 24 * 3600, httponly=True)
        return page

    async def mcp_servers(self, request: Request) -> Response:
        return JSONResponse([{"id": f"base-{SEARCH}", "name": SEARCH, "url": "http://127.0.0.1/mcp"}])

    async def user_settings(self, request: Request) -> Response:
        owner = self._owner(request) or ""
        if request.method == "GET":
            return wrapped(self.rooms.settings.get(owner, {"hidePromptExamples": {}}))
        self.rooms.settings[owner] = await request.json()
        return Response()

    async def fetch(self, request: Request) -> Response:
        if len(request.path_params["id"]) != 24:
            return message_error(400, "Invalid conversation ID format")
        if request.path_params["id"] not in self.rooms.by_id:
            return message_error(404, "Conversation not found.")
        room = self._room(request)
        if room is None:
            return message_error(403, "You don't have access to this conversation.")
        return wrapped(room.to_dict())

    async def output(self, request: Request) -> Response:
        room = self._room(request)
        content = room.files.get(request.path_params["sha"]) if room else None
        return Response(content, media_type="image/png") if content else message_error(404, "File not found")

    # Writing

    async def create(self, request: Request) -> Response:
        owner = self._owner(request)
        if owner is None:
            answer = Response(
                status_code=302, headers={"Location": "https://sandbox.invalid/oauth/authorize"}
            )
            answer.set_cookie("hf-chat", str(uuid.uuid4()))
            return answer
        try:
            body = json.loads(await request.body())
        except ValueError:
            return failed()
        if body.get("model") not in {model["id"] for model in MODELS}:
            return message_error(400, "Invalid request")
        room = self.rooms.create(owner, body["model"], body.get("preprompt") or "")
        inner = json.dumps({"json": room.to_dict()})
        answer = JSONResponse({"conversationId": room.id, "conversation": inner})
        answer.set_cookie("hf-chat", owner, max_age=14 * 24 * 3600, httponly=True)
        return answer

    async def message(self, request: Request) -> Response:
        if "text/html" in request.headers.get("accept", ""):
            return PlainTextResponse("POST method not allowed", 405)
        refused = self._refused(request)
        room = self._room(request)
        if refused is not None or room is None:
            return refused or message_error(404, "Conversation not found")
        data, files = form_of(request.headers["content-type"], await request.body())
        if data is None:
            return message_error(400, "Invalid request")
        question = self._question(room, data, files)
        if isinstance(question, Response):
            return question
        run = self._start(room, question, data)
        return self.box.reply(
            room.model, followed(run), media_type="application/jsonl", error=model_fault, is_last=is_last
        )

    def _question(
        self, room: Room, data: Mapping[str, Any], files: list[tuple[str, bytes]]
    ) -> dict[str, Any] | Response:
        """The user message that is to be answered: new, edited, or the one above a retried answer."""
        at, inputs = room.find(data.get("id")), data.get("inputs")
        if data.get("is_retry") and at is None:
            return message_error(404, "Message not found")
        if at is None or inputs == "":
            return failed()
        if data.get("is_retry") and inputs is None:
            return room.find(at["ancestors"][-1]) or failed()
        parent = room.find(at["ancestors"][-1]) if data.get("is_retry") else at
        kept = [{"type": "hash", "name": name, "value": kept_file(room, content)} for name, content in files]
        return room.add(parent or at, "user", str(inputs), files=kept)

    def _start(self, room: Room, question: dict[str, Any], data: Mapping[str, Any]) -> Run:
        run = Run(str(data.get("generationId") or uuid.uuid4()))
        entry = room.add(question, "assistant", "", generationId=run.id)
        can = next(model["supportsTools"] for model in MODELS if model["id"] == room.model)
        # Without a list of tool servers, all of them are offered.
        chosen = SEARCH in data.get("selectedMcpServerNames", [SEARCH])
        self.rooms.start(room, entry, run, list(script(room, question, data, tools=can and chosen)))
        return run

    async def stop(self, request: Request) -> Response:
        if self._owner(request) is None:
            return JSONResponse({"error": NOT_LOGGED_IN}, 401)
        room = self._room(request)
        if room is None:
            return message_error(404, "Conversation not found")
        for run in room.runs.values():
            run.stopped = True
        return Response()

    async def stream(self, request: Request) -> Response:
        room = self._room(request)
        if room is None:
            return message_error(404, "Conversation not found")
        wanted = request.query_params.get("generationId")
        run = room.runs.get(wanted) if wanted else next(reversed(room.runs.values()), None)
        start = int(request.headers.get("last-event-id") or request.query_params.get("fromSeq") or 0)
        return StreamingResponse(replayed(run, start), media_type="text/event-stream")


async def followed(run: Run) -> AsyncIterator[bytes]:
    async for update in run.follow():
        yield line_of(update or KEEP_ALIVE)


async def replayed(run: Run | None, start: int) -> AsyncIterator[bytes]:
    if run is None:
        yield b'event: end\ndata: {"status":"gone"}\n\n'
        return
    number = start
    async for update in run.follow(start, silence=0.25):
        number += update is not None
        told = f"id: {number}\nevent: update\ndata: {json.dumps(update)}\n\n" if update else ": heartbeat\n\n"
        yield told.encode()
    yield f"event: end\ndata: {json.dumps({'status': run.status})}\n\n".encode()


def form_of(kind: str, body: bytes) -> tuple[dict[str, Any] | None, list[tuple[str, bytes]]]:
    """The `data` and the files of a form. A file's content is base64 text behind the prefix `base64;`."""
    import base64

    form = BytesParser().parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
    data: dict[str, Any] | None = None
    files: list[tuple[str, bytes]] = []
    for part in form.walk():
        content = part.get_payload(decode=True)
        if not isinstance(content, bytes):
            continue
        name = part.get_param("name", header="content-disposition")
        if name == "data":
            data = json.loads(content)
        elif name == "files":
            label = str(part.get_filename())
            files.append((label.partition(";")[2], base64.b64decode(content)))
    return data, files
