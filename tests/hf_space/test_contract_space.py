"""The plugin held to the contract that all providers are held to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from plugmux.model import Model
from plugmux.testing import ProviderContract, chat, replies
from plugmux.testing.replies import Replies, Reply
from plugmux.testing.server import SeenRequest
from plugmux_hf_space import plugin

JOB = "job-1"
WORDS = chat.tokens(12)
CONFIG = {
    "version": "6.31.0",
    "protocol": "sse_v3",
    "api_prefix": "/gradio_api",
    "mode": "chat_interface",
    "components": [
        {"id": 0, "type": "textbox", "props": {"label": "Message"}},
        {"id": 1, "type": "state", "props": {}},
        {
            "id": 2,
            "type": "slider",
            "props": {"label": "Temperature", "minimum": 0, "maximum": 2, "value": 1},
        },
        {"id": 3, "type": "json", "props": {"label": "Response"}},
    ],
    "dependencies": [
        {
            "id": 0,
            "api_name": "respond",
            "inputs": [0, 1, 2],
            "outputs": [3, 1],
            "targets": [[0, "submit"]],
            "backend_fn": True,
            "types": {"generator": True},
            "api_visibility": "public",
        }
    ],
}
PARAMETERS = [
    {"label": "Message", "parameter_name": "message", "parameter_has_default": False},
    {
        "label": "Temperature",
        "parameter_name": "temperature",
        "parameter_has_default": True,
        "parameter_default": 1,
    },
]
INFO = {"named_endpoints": {"/respond": {"parameters": PARAMETERS, "returns": []}}}


def said(msg: str, **facts: Any) -> bytes:
    return f"data: {json.dumps({'msg': msg, 'event_id': JOB, **facts})}\n\n".encode()


class TestTrustedSpace(ProviderContract):
    """A Space that may see the token, so that the contract's tests of secrets mean something."""

    plugin = plugin
    url = ""
    main_path = "/gradio_api/queue/data"
    stop_path = "/gradio_api/cancel"

    def settings(self, url: str) -> dict[str, str]:
        self.url = url
        return {"hub_url": url, "trusted": "kit/echo"}

    @property
    def model(self) -> Model:
        facts = {"space": "kit/echo", "hub_host": self.url, "url": self.url}
        return Model(id="spaces/kit/echo", provider="kit", extra=facts)

    def script(self, main: Reply) -> Replies:
        answers = {
            "/config": replies.json(CONFIG),
            "/gradio_api/info": replies.json(INFO),
            "/gradio_api/queue/join": replies.json({"event_id": JOB}),
            "/gradio_api/cancel": replies.json({"success": True}),
        }

        def reply(request: SeenRequest) -> Reply:
            if self.is_main(request):
                return main
            return answers.get(request.path) or self.space(request.path)

        return reply

    def space(self, path: str) -> Reply:
        """What the Hub says of a Space: all of them run here."""
        name = path.removeprefix("/api/spaces/")
        return replies.json({"id": name, "host": self.url, "sdk": "gradio", "runtime": {"stage": "RUNNING"}})

    def error_body(self, status: int) -> Any:
        return {"detail": f"the kit says {status}"}

    def chunks(self) -> Sequence[bytes]:
        first = said("process_generating", output={"data": [WORDS[0], None]})
        rest = [said("process_generating", output={"data": [[["append", [], w]], []]}) for w in WORDS[1:]]
        done = said("process_completed", output={"data": ["".join(WORDS), None]}, success=True)
        return [said("process_starts"), first, *rest, done, said("close_stream")]
