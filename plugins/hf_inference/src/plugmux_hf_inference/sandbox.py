"""This plugin's part of the local sandbox: the router's chat, text generation, two image routes, the Hub.

Below `/hf-inference/`: `v1/models`, `v1/chat/completions` (the router, and any OpenAI-compatible server),
`generate`, `generate_stream` and `info` (TGI), `hf-inference/models/{id}` and
`together/v1/images/generations` (the router's per-provider routes), `hub/api/…`. Every answer says that it
is the sandbox's.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from plugmux.sandbox import Fault, fault_models, picture
from plugmux_hf_inference import _play
from plugmux_hf_inference._static import STATIC_MODELS

if TYPE_CHECKING:
    from plugmux.sandbox import Sandbox

__all__ = ["environment", "routes"]

PREFIX = "/hf-inference"
UPSTREAMS = ("novita", "together")


def environment(url: str) -> dict[str, str]:
    """What points the provider here. The token is the sandbox's own, so that no real one comes by."""
    return {
        "PLUGMUX_HF_INFERENCE_ROUTER_URL": f"{url}{PREFIX}",
        "PLUGMUX_HF_INFERENCE_HUB_URL": f"{url}{PREFIX}/hub",
        "PLUGMUX_HF_INFERENCE_TOKEN": "no-real-token",
    }


def routes(box: Sandbox) -> list[BaseRoute]:
    """The routes, mounted below `/hf-inference/`."""
    service = _Service(box)
    table = (
        ("GET", "/v1/models", service.models),
        ("GET", "/v1/models/{id:path}", service.model),
        ("POST", "/v1/chat/completions", service.chat),
        ("POST", "/generate", service.generate),
        ("POST", "/generate_stream", service.generate),
        ("GET", "/info", service.info),
        ("POST", "/hf-inference/models/{id:path}", service.task),
        ("POST", "/together/v1/images/generations", service.image),
        ("GET", "/hub/api/models", service.hub_list),
        ("GET", "/hub/api/models/{id:path}", service.hub_model),
    )
    return [Route(f"{PREFIX}{path}", endpoint, methods=[method]) for method, path, endpoint in table]


class _Service:
    """The endpoints. What they say is made by `_play`, how they fail by the box."""

    def __init__(self, box: Sandbox) -> None:
        self._box = box

    async def models(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [_entry(name) for name in _chat_ids()]})

    async def model(self, request: Request) -> Response:
        wanted = request.path_params["id"]
        if wanted in _chat_ids():
            return JSONResponse(_entry(wanted))
        return _not_found(wanted)

    async def chat(self, request: Request) -> Response:
        asked = await _object(request)
        model = str(asked.get("model") or "sandbox/chat")
        if asked.get("stream"):
            return self._box.reply(model, _events(_play.chat_chunks(asked, model), done=True))
        return self._whole(model, _play.chat_answer(asked, model))

    async def generate(self, request: Request) -> Response:
        streams = request.url.path.endswith("generate_stream")
        return self._generated(await _object(request), "sandbox/tgi", streams=streams)

    async def task(self, request: Request) -> Response:
        """`hf-inference/models/{id}`: a picture for the models that draw, else text."""
        model = request.path_params["id"]
        asked = await _object(request)
        if model in _drawn_ids():
            return Response(picture(), media_type="image/png")
        return self._generated(asked, model, streams=bool(asked.get("stream")), listed=True)

    async def image(self, request: Request) -> Response:
        asked = await _object(request)
        drawn = base64.b64encode(picture()).decode()
        return self._whole(str(asked.get("model")), {"data": [{"index": 0, "b64_json": drawn}]})

    async def info(self, request: Request) -> Response:
        facts = {"model_id": "sandbox/tgi", "max_input_tokens": 4095, "max_total_tokens": 4096}
        return JSONResponse({**facts, "router": "text-generation-router", "version": "plugmux sandbox"})

    async def hub_list(self, request: Request) -> Response:
        task = request.query_params.get("pipeline_tag")
        found = [_hub_entry(name, as_list=True) for name in _play.TEXT_MODELS]
        return JSONResponse([entry for entry in found if task in (None, entry["pipeline_tag"])])

    async def hub_model(self, request: Request) -> Response:
        wanted = request.path_params["id"]
        if wanted in _play.TEXT_MODELS:
            return JSONResponse(_hub_entry(wanted))
        if wanted in _drawn_ids():
            return JSONResponse(_drawn_entry(wanted))
        return _not_found(wanted)

    def _generated(
        self, asked: Mapping[str, Any], model: str, *, streams: bool, listed: bool = False
    ) -> Response:
        """TGI's answer; HF's own route gives a whole one inside a list."""
        if streams:
            chunks = _events(_play.token_events(asked), done=False)
            return self._box.reply(model, chunks, error=_tgi_error, is_last=_is_last_token)
        whole = _play.generated(asked)
        return self._whole(model, [whole] if listed else whole, error=_tgi_error)

    def _whole(self, model: str, body: Any, error: Any = Fault.openai_body) -> Response:
        return self._box.reply(model, _sliced(body), media_type="application/json", error=error)


def _chat_ids() -> tuple[str, ...]:
    known = (model.id for model in STATIC_MODELS if model.upstream is None)
    return (*_play.CHAT_MODELS, *dict.fromkeys(known), *fault_models())


def _drawn_ids() -> frozenset[str]:
    return frozenset(model.id for model in STATIC_MODELS if model.upstream is not None)


def _entry(id: str) -> dict[str, Any]:
    sees = id in _play.SEEING_MODELS
    return {
        "id": id,
        "object": "model",
        "owned_by": "plugmux-sandbox",
        "architecture": {"input_modalities": ["text", "image"] if sees else ["text"]},
        "providers": [_upstream(name, number) for number, name in enumerate(UPSTREAMS, 1)],
    }


def _upstream(name: str, number: int) -> dict[str, Any]:
    return {
        "provider": name,
        "status": "live",
        "context_length": 65536 * number,
        "pricing": {"input": 0.1 * number, "output": 0.3 * number},
        "supports_tools": True,
        "supports_structured_output": number == 1,
        "first_token_latency_ms": 200 * number,
        "throughput": 60 / number,
        "is_model_author": False,
    }


def _hub_entry(id: str, *, as_list: bool = False) -> dict[str, Any]:
    served = {"providerId": id, "status": "live", "task": "text-generation", "isModelAuthor": False}
    mapping: Any = [{"provider": "hf-inference", **served}] if as_list else {"hf-inference": served}
    return {
        "id": id,
        "pipeline_tag": "text-generation",
        "trendingScore": 12,
        "gated": False,
        "config": {"model_type": "gpt2", "tokenizer_config": {"eos_token": "<|endoftext|>"}},
        "inferenceProviderMapping": mapping,
    }


def _drawn_entry(id: str) -> dict[str, Any]:
    served = {"providerId": id, "status": "live", "task": "text-to-image"}
    mapping = dict.fromkeys(("hf-inference", "together"), served)
    return {"id": id, "pipeline_tag": "text-to-image", "inferenceProviderMapping": mapping}


def _not_found(id: str) -> Response:
    said = f"plugmux sandbox: there is no model {id!r}"
    return JSONResponse({"error": {"message": said, "code": "model_not_found"}}, 404)


def _tgi_error(fault: Fault) -> dict[str, Any]:
    return {"error": fault.message, "error_type": fault.code}


def _is_last_token(chunk: bytes) -> bool:
    return b'"generated_text": null' not in chunk


async def _object(request: Request) -> dict[str, Any]:
    asked = await request.json()
    return asked if isinstance(asked, dict) else {}


async def _events(bodies: Iterable[Any], *, done: bool) -> AsyncIterator[bytes]:
    for body in bodies:
        yield f"data: {json.dumps(body, ensure_ascii=False)}\n\n".encode()
    if done:
        yield b"data: [DONE]\n\n"


async def _sliced(body: Any) -> AsyncIterator[bytes]:
    """A whole answer in slices, so that it can be cut like a stream."""
    content = json.dumps(body, ensure_ascii=False).encode()
    size = max(1, len(content) // 8)
    for start in range(0, len(content), size):
        yield content[start : start + size]
