"""The sandbox's conversations: trees of messages, runs that go on without a listener, synthetic answers."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

from attrs import define, field

from plugmux.sandbox import answer, picture, pieces

__all__ = ["SEARCH", "Room", "Rooms", "Run", "answer_text", "script"]

SEARCH = "Web Search (Sandbox)"
KEEP_ALIVE = {"type": "status", "status": "keepAlive"}


@define(eq=False)
class Run:
    """One generation: its updates so far, and whether somebody stopped it."""

    id: str
    updates: list[dict[str, Any]] = field(factory=list)
    done: bool = False
    stopped: bool = False
    status: str = "completed"
    _news: asyncio.Event = field(factory=asyncio.Event)

    def add(self, update: dict[str, Any]) -> None:
        self.updates.append(update)
        self._news.set()
        self._news = asyncio.Event()

    def end(self) -> None:
        self.done = True
        self._news.set()

    async def follow(self, start: int = 0, *, silence: float = 0.1) -> AsyncIterator[dict[str, Any] | None]:
        """The updates from `start` on; None for each stretch of silence."""
        while True:
            while start < len(self.updates):
                yield self.updates[start]
                start += 1
            if self.done:
                return
            try:
                await asyncio.wait_for(self._news.wait(), silence)
            except TimeoutError:
                yield None


@define(eq=False)
class Room:
    """One conversation of one session."""

    id: str
    owner: str
    model: str
    messages: list[dict[str, Any]]
    title: str = "New Chat"
    files: dict[str, bytes] = field(factory=dict)
    runs: dict[str, Run] = field(factory=dict)

    @property
    def root(self) -> str:
        return str(self.messages[0]["id"])

    def find(self, message: object) -> dict[str, Any] | None:
        return next((entry for entry in self.messages if entry["id"] == message), None)

    def add(self, parent: Mapping[str, Any], role: str, content: str, **more: Any) -> dict[str, Any]:
        entry = {
            "id": str(uuid.uuid4()),
            "from": role,
            "content": content,
            "ancestors": [*parent["ancestors"], parent["id"]],
            "children": [],
            **more,
        }
        parent["children"].append(entry["id"])
        self.messages.append(entry)
        return entry

    def turn_of(self, message: Mapping[str, Any]) -> int:
        """How many user messages lead to `message`, itself included."""
        above = [self.find(ancestor) for ancestor in message["ancestors"]]
        return sum(1 for entry in [*above, message] if entry and entry["from"] == "user")

    def to_dict(self) -> dict[str, Any]:
        return {
            "messages": self.messages,
            "title": self.title,
            "model": self.model,
            "modelId": self.model,
            "rootMessageId": self.root,
            "id": self.id,
        }


class Rooms:
    """All conversations of one sandbox server, and the tasks that run in it."""

    def __init__(self, seconds_a_token: float) -> None:
        self.by_id: dict[str, Room] = {}
        self.settings: dict[str, dict[str, Any]] = {}
        self._seconds = seconds_a_token
        self._tasks: set[asyncio.Task[None]] = set()

    def create(self, owner: str, model: str, preprompt: str) -> Room:
        root = {
            "id": str(uuid.uuid4()),
            "from": "system",
            "content": preprompt,
            "ancestors": [],
            "children": [],
        }
        room = Room(id=uuid.uuid4().hex[:24], owner=owner, model=model, messages=[root])
        self.by_id[room.id] = room
        return room

    def start(self, room: Room, entry: dict[str, Any], run: Run, updates: Sequence[dict[str, Any]]) -> None:
        """Let a run go on by itself, whoever listens."""
        room.runs[run.id] = run
        task = asyncio.create_task(self._go(room, entry, run, updates))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _go(
        self, room: Room, entry: dict[str, Any], run: Run, updates: Sequence[dict[str, Any]]
    ) -> None:
        for update in updates:
            await asyncio.sleep(self._seconds)
            if run.stopped and update["type"] in ("stream", "reasoning", "tool"):
                continue
            if update["type"] == "finalAnswer" and run.stopped:
                update = {**update, "text": entry["content"], "interrupted": True}
                entry["interrupted"], run.status = True, "interrupted"
            if update["type"] == "stream":
                entry["content"] += update["token"]
            if update["type"] == "title":
                room.title = update["title"]
            run.add(update)
        run.end()


def answer_text(model: str, prompt: str, turn: int, files: int) -> str:
    """A text that nobody takes for a model's, and that tells what the server knew."""
    seen = f" It saw {files} file(s)." if files else ""
    return f"{answer(prompt)} Model {model}, turn {turn}.{seen}"


def script(
    room: Room, question: Mapping[str, Any], data: Mapping[str, Any], *, tools: bool
) -> Iterator[dict[str, Any]]:
    """The updates of today's server for one turn, in the order of the recorded ones."""
    yield {"type": "status", "status": "started"}
    if room.title == "New Chat":
        yield {"type": "title", "title": "Sandbox chat"}
    if room.model == "omni":
        route = "agentic" if tools else "multimodal" if question.get("files") else "default"
        yield {"type": "routerMetadata", "route": route, "model": "sandbox/plain"}
    if tools:
        yield from _search(str(question["content"]))
    if room.model == "sandbox/reasoner":
        yield from _tokens("<think>Synthetic thoughts, synthetic answer.</think>")
    final = answer_text(
        room.model, question["content"], room.turn_of(question), len(question.get("files", ()))
    )
    yield from _tokens(final)
    yield {"type": "finalAnswer", "text": final, "interrupted": False}
    yield {"type": "routerMetadata", "route": "", "model": "", "provider": "sandbox"}
    yield {"type": "status", "status": "finished"}


def _tokens(text: str) -> Iterator[dict[str, Any]]:
    for piece in pieces(text):
        yield {"type": "stream", "token": piece}


def _search(prompt: str) -> Iterator[dict[str, Any]]:
    mark: dict[str, Any] = {"type": "tool", "uuid": str(uuid.uuid4())}
    call = {"name": "web_search_sandbox", "parameters": {"query": prompt}}
    text = "Title: Sandbox page\nURL: https://example.com/sandbox\nText: nothing was searched"
    blocks: list[dict[str, Any]] = [{"type": "text", "text": text}]
    if "picture" in prompt:
        blocks.append(
            {"type": "image", "data": base64.b64encode(picture()).decode(), "mimeType": "image/png"}
        )
    yield {"type": "stream", "token": "Let me look. "}
    yield {**mark, "subtype": "call", "call": call, "argumentsRaw": json.dumps(call["parameters"])}
    yield {**mark, "subtype": "eta", "eta": 10}
    yield {**mark, "subtype": "progress", "progress": 1, "total": 2, "message": "half way"}
    outputs = [{"text": text, "content": blocks}]
    result = {"status": "success", "call": call, "outputs": outputs, "display": True}
    yield {**mark, "subtype": "result", "result": result}


def kept_file(room: Room, content: bytes) -> str:
    """Keep a file with the conversation; its sha256."""
    sha = hashlib.sha256(content).hexdigest()
    room.files[sha] = content
    return sha
