"""HuggingChat's provider held to the contract that all providers are held to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from plugmux.model import Model
from plugmux.testing import ProviderContract, replies
from plugmux.testing.replies import Replies, Reply
from plugmux.testing.server import SeenRequest
from plugmux_hf_chat import plugin

ID = "0123456789abcdef01234567"
ROOT = "00000000-0000-4000-8000-000000000001"


class TestHuggingChat(ProviderContract):
    plugin = plugin
    model = Model(id="kit/echo", provider="kit")
    content_type = "application/jsonl"
    stop_path = f"/conversation/{ID}/stop-generating"
    secret = "hf-chat=kit-secret-0123456789"

    def chunks(self) -> Sequence[bytes]:
        words = ["Hello ", "there, ", "this ", "is ", "the ", "kit."]
        updates: list[dict[str, Any]] = [
            {"type": "status", "status": "started"},
            *({"type": "stream", "token": word.ljust(16, "\0")} for word in words),
            {"type": "finalAnswer", "text": "".join(words), "interrupted": False},
            {"type": "status", "status": "finished"},
        ]
        return [json.dumps(update).encode() + b"\n" for update in updates]

    def script(self, main: Reply) -> Replies:
        inner = json.dumps({"json": {"id": ID, "rootMessageId": ROOT, "messages": []}})
        known: dict[str, Replies] = {
            "/conversation": replies.json({"conversationId": ID, "conversation": inner}),
            f"/conversation/{ID}": main,
            str(self.stop_path): replies.answer(),
            "/api/v2/models": replies.json({"json": [{"id": "kit/echo"}]}),
        }
        return replies.by_path(known)

    def is_main(self, request: SeenRequest) -> bool:
        return request.path == f"/conversation/{ID}"

    def error_body(self, status: int) -> Any:
        return {"message": "Model not found" if status == 404 else f"the kit says {status}"}
