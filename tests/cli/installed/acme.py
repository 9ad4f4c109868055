"""A provider for the tests of the command line: chat completions, and jobs that make media.

`PLUGMUX_ACME_BASE_URL` says where; the models are those that `/models` lists. Its wire is OpenAI's for
chat; a job answers with JSON lines: `{"stage": …}`, `{"media": base64, "kind": …}`, `{"text": …}`.
"""

from __future__ import annotations

import base64
import json

from plugmux import Credential, Finish, Media, MediaKind, Model, Progress, Reasoning, Reset, Text, hookimpl
from plugmux.events import FinishReason, Source, Sources, ToolCall, Usage

settings = ("base_url",)


@hookimpl
async def get_models(session, wanted):
    answer = await session.http.request("GET", f"{session.settings['base_url']}/models")
    listed = [Model(auth="none", **facts) for facts in answer.json()]
    return [model for model in listed if wanted is None or model.id == wanted]


@hookimpl
async def authenticate(session, challenge):
    token = session.token or session.settings.get("token")
    if token is None:
        return None
    return Credential.bearer(token, origins=[session.settings["base_url"]], source="the setting token")


@hookimpl
async def create_stream(request, session):
    url = session.settings["base_url"]
    options = {k: v for k, v in request.options.given().items() if k not in ("image", "audio")}
    if request.options.image is not None:
        options["image"] = request.options.image.data_url
    if request.options.audio is not None:
        options["audio"] = request.options.audio.data_url
    body = {"model": request.model.remote_id, **options}
    if request.task.is_media or request.task.value == "automatic-speech-recognition":
        body["prompt"] = request.prompt
        async with session.http.events("POST", f"{url}/jobs", json=body) as events:
            async for event in events:
                yield _of_job(json.loads(event.data))
        return
    body["messages"] = [message.to_dict() for message in request.messages]
    async with session.http.events("POST", f"{url}/chat/completions", json=body) as events:
        async for event in events:
            if event.data == "[DONE]":
                break
            for decoded in _of_chat(json.loads(event.data)):
                yield decoded


def _of_chat(chunk):
    choice = chunk["choices"][0]
    delta = choice.get("delta", {})
    if chunk.get("void"):
        yield Reset(why=chunk["void"])
    if delta.get("reasoning"):
        yield Reasoning(text=delta["reasoning"])
    if delta.get("content"):
        yield Text(text=delta["content"])
    for call in delta.get("tool_calls", ()):
        yield ToolCall(**call)
    if chunk.get("sources"):
        yield Sources(sources=tuple(Source(url=url) for url in chunk["sources"]))
    if chunk.get("usage"):
        yield Usage(**chunk["usage"])
    if choice.get("finish_reason"):
        yield Finish(reason=FinishReason(choice["finish_reason"]))


def _of_job(line):
    if "media" in line:
        return Media.from_bytes(base64.b64decode(line["media"]), kind=MediaKind(line["kind"]))
    if "void" in line:
        return Reset(why=line["void"])
    if "text" in line:
        return Text(text=line["text"])
    if "finish" in line:
        return Finish()
    return Progress(**line)
