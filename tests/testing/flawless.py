"""A small provider without a defect: what `ProviderContract` must let pass, and what the defects derive from.

The service speaks OpenAI's chat completions at `/v1/chat/completions` and is told to stop at `/v1/stop`.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from plugmux import (
    Credential,
    Event,
    Finish,
    FinishReason,
    Model,
    Notice,
    Request,
    Session,
    Text,
    Usage,
    hookimpl,
)
from plugmux.errors import MalformedResponseError, ProviderError, StreamCutError
from plugmux.http import EventSource, Response
from plugmux.statuses import error_of_status

TAKEN = ("max_tokens", "temperature", "top_p", "seed", "stop")


class Flawless:
    """Each step is a method of its own, so that a defect can be one step gone wrong."""

    static_models = (Model(id="kit/echo"),)

    @hookimpl
    async def get_models(self, session: Session, wanted: str | None) -> list[Model]:
        return await self.find_models(session, wanted)

    @hookimpl
    async def authenticate(self, session: Session, challenge: ProviderError | None) -> Credential | None:
        return await self.find_credential(session, challenge)

    @hookimpl
    def create_stream(self, request: Request, session: Session) -> AsyncGenerator[Event, None]:
        return self.stream(request, session)

    async def find_models(self, session: Session, wanted: str | None) -> list[Model]:
        models = [Model(id="kit/echo"), Model(id="kit/other")]
        return [model for model in models if wanted in (None, model.id)]

    async def find_credential(self, session: Session, challenge: ProviderError | None) -> Credential | None:
        if session.token is None or challenge is not None:
            return None
        return Credential.bearer(session.token, origins=[session.settings["base_url"]])

    async def stream(self, request: Request, session: Session) -> AsyncGenerator[Any, None]:
        for notice in self.notices(request):
            yield notice
        over = False
        try:
            async with self.open(request, session) as source, aclosing(self.decoded(source)) as events:
                async for event in events:
                    over = over or type(event) is Finish
                    yield event
        finally:
            if not over:
                await self.tell_to_stop(session)

    def open(self, request: Request, session: Session) -> Any:
        return session.http.events("POST", self.url(session), json=self.body(request), error=self.error_of)

    def url(self, session: Session) -> str:
        return f"{session.settings['base_url']}/v1/chat/completions"

    def body(self, request: Request) -> dict[str, Any]:
        given = {name: value for name, value in request.options.given().items() if name in TAKEN}
        messages = [message.to_dict() for message in request.messages]
        return {"model": request.model.remote_id, "messages": messages, "stream": True, **given}

    def notices(self, request: Request) -> list[Notice]:
        return [
            Notice(code="option-ignored", option=name, message=f"{name} is not taken here")
            for name in request.options.given()
            if name not in TAKEN
        ]

    def error_of(self, response: Response) -> ProviderError:
        return error_of_status(response)

    async def decoded(self, source: EventSource) -> AsyncGenerator[Any, None]:
        if not source.is_stream:
            raise MalformedResponseError(
                f"expected a stream, got {source.content_type}", status=source.status
            )
        reason: str | None = None
        async for event in source:
            if event.data == b"[DONE]":
                continue
            chunk = self.parsed(event.data)
            for choice in chunk.get("choices", ()):
                reason = choice.get("finish_reason") or reason
                if choice["delta"].get("content"):
                    yield Text(text=choice["delta"]["content"])
            if chunk.get("usage"):
                yield self.usage(chunk["usage"])
            if reason is not None:
                source.linger(2)
        for event in self.ending(reason):
            yield event

    def parsed(self, data: bytes) -> dict[str, Any]:
        try:
            chunk = json.loads(data)
        except ValueError as error:
            raise MalformedResponseError("a chunk is no JSON") from error
        if not isinstance(chunk, dict):
            raise MalformedResponseError("a chunk is no object")
        return chunk

    def usage(self, counts: dict[str, int]) -> Usage:
        return Usage(prompt_tokens=counts["prompt_tokens"], completion_tokens=counts["completion_tokens"])

    def ending(self, reason: str | None) -> list[Any]:
        if reason is None:
            raise StreamCutError("the answer ended without a finish reason")
        return [Finish(reason=FinishReason(reason))]

    async def tell_to_stop(self, session: Session) -> None:
        async with session.cleanup(seconds=2):
            await session.http.request("POST", f"{session.settings['base_url']}/v1/stop")
