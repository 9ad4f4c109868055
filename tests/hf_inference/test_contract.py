"""The plugin held to the contract that all providers are held to, on each of its roads."""

from __future__ import annotations

import json
from collections.abc import Sequence

from plugmux.model import Model, Task
from plugmux.testing import ProviderContract, chat, replies
from plugmux.testing.replies import Replies, Reply
from plugmux_hf_inference import plugin


class TestRouter(ProviderContract):
    plugin = plugin
    model = Model(id="kit/echo", provider="kit")

    def settings(self, url: str) -> dict[str, str]:
        return {"router_url": url, "hub_url": url}

    def chunks(self) -> Sequence[bytes]:
        return chat.chunks(chat.tokens(12))


class TestServerOfOnesOwn(ProviderContract):
    plugin = plugin
    model = Model(id="kit/echo", provider="kit")

    def settings(self, url: str) -> dict[str, str]:
        return {"base_url": f"{url}/v1", "router_url": url}  # so that the kit's token may go there

    def chunks(self) -> Sequence[bytes]:
        return chat.chunks(chat.tokens(12))


class TestTextGeneration(ProviderContract):
    plugin = plugin
    model = Model(
        id="kit/echo",
        provider="kit",
        upstream="hf-inference",
        tasks=(Task.TEXT_GENERATION,),
        extra={"road": "text"},
    )
    main_path = "/hf-inference/models/kit/echo"

    def settings(self, url: str) -> dict[str, str]:
        return {"router_url": url, "hub_url": url}

    def script(self, main: Reply) -> Replies:
        return lambda request: main if self.is_main(request) else replies.json({"error": "no"}, status=404)

    def chunks(self) -> Sequence[bytes]:
        words = chat.tokens(12)
        events = [{"token": {"text": word, "special": False}, "generated_text": None} for word in words]
        events[-1] |= {"generated_text": "".join(words), "details": {"finish_reason": "eos_token"}}
        return [f"data:{json.dumps(event)}\n\n".encode() for event in events]
