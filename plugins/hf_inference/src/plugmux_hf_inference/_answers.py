"""From the bytes of a chat or completion answer to events. Pure; one decoder an answer.

Facts on what services send are from recorded traffic unless marked otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from plugmux.errors import MalformedResponseError, ServerError
from plugmux.events import (
    Event,
    Finish,
    FinishReason,
    Notice,
    Progress,
    Reasoning,
    ServedBy,
    Source,
    Sources,
    Text,
    ToolCall,
    Usage,
)
from plugmux.huggingface.failures import error_of_event
from plugmux.statuses import request_id_of
from plugmux_hf_inference._chunks import Call, Choice, Chunk, Delta, Function
from plugmux_hf_inference._decoder import Decoder, excerpt
from plugmux_hf_inference._reasoning import ThinkSplitter

__all__ = ["ChatDecoder", "finish_reason_of", "usage_of"]

_decode = msgspec.json.Decoder(Chunk).decode


class ChatDecoder(Decoder):
    """Events of one answer in OpenAI's shape."""

    def __init__(self, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(headers)
        self._calls: dict[int, _OpenCall] = {}
        self._begun = 0
        self._splitter = ThinkSplitter()
        self._notices: list[Notice] = []

    def feed(self, data: bytes) -> list[Event]:
        """The events of one `data:`."""
        try:
            chunk = _decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return self._unreadable(data)
        if self._introduced and chunk.choices and len(chunk.choices) == 1 and chunk.usage is None:
            choice = chunk.choices[0]
            delta = choice.delta
            if (  # the plain token: a Text and nothing else
                delta is not None
                and not choice.finish_reason
                and self._splitter.in_answer
                and delta.tool_calls is None
                and delta.reasoning_content is None
                and delta.reasoning is None
                and type(delta.content) is str
                and delta.content
                and delta.executed_tools is None
                and not choice.index
                and chunk.error is None
            ):
                return [Text(text=delta.content)]
        return list(self._events(chunk, data))

    def whole(self, body: bytes) -> list[Event]:
        """All events of an answer that came in one piece: complete, even without a finish reason."""
        try:
            chunk = _decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise MalformedResponseError(_unreadable_body(body)) from error
        if not chunk.choices:
            self._raise_error(body, chunk)
            raise MalformedResponseError(f"an answer without choices: {excerpt(body)}")
        return [*self._events(chunk, body), *self._last()]

    def _last(self) -> list[Event]:
        events: list[Event] = [*self._splitter.flush(), *self._notices]
        if self._usage is not None:
            events.append(self._usage)
        reason = self.finish_reason or FinishReason.STOP
        if reason is FinishReason.STOP and self._calls:
            reason = FinishReason.TOOL_CALLS  # TGI says stop, or eos_token
        return [*events, Finish(reason=reason)]

    def _events(self, chunk: Chunk, data: bytes) -> Iterator[Event]:
        if chunk.error or not chunk.choices:
            self._raise_error(data, chunk)
        if not self._introduced and (chunk.model or chunk.choices):
            self._introduced = True
            yield self._served_by(chunk.model)
        usage = usage_of(chunk.usage) or usage_of(_groq_usage(chunk.x_groq))
        if usage is not None:
            self._usage = usage
        for choice in chunk.choices or ():
            # The core fans `n` out, so another index was never asked for; but in old TGI's chunks, which
            # call themselves text_completion, it counts the tokens.
            if not choice.index or chunk.object == "text_completion":
                yield from self._choice(choice)

    def _choice(self, choice: Choice) -> Iterator[Event]:
        delta = choice.delta or choice.message
        if delta is not None:
            yield from self._delta(delta)
        elif isinstance(choice.text, str) and choice.text:
            self._content = True
            yield Text(text=choice.text)
        if choice.finish_reason:  # some say "" where others say null
            self._finish(choice.finish_reason)

    def _delta(self, delta: Delta) -> Iterator[Event]:
        thought = delta.reasoning_content or delta.reasoning
        if isinstance(thought, str) and thought:
            self._content = True
            yield Reasoning(text=thought)
        if delta.executed_tools:
            yield from _executed(delta.executed_tools)
        text = delta.content if isinstance(delta.content, str) else _text_of_parts(delta.content)
        text = text or (delta.refusal if isinstance(delta.refusal, str) else "")
        if text:
            self._content = True
            yield from self._splitter.feed(text)
        calls = delta.tool_calls
        for position, call in enumerate([calls] if isinstance(calls, Call) else calls or ()):
            yield self._tool_call(call, position)

    def _tool_call(self, call: Call, position: int) -> ToolCall:
        """A piece of a call. Services number the calls by `index`, by their place in the chunk, or all with
        0: so a piece with a name, and with an id that is not its number's, begins another call."""
        self._content = True
        number = call.index if isinstance(call.index, int) else position
        function = call.function or Function()
        call_id = str(call.id) if call.id not in (None, "") else None
        name = function.name if isinstance(function.name, str) and function.name else None
        opened = self._calls.get(number)
        if opened is None or (name and call_id and opened.id not in (None, call_id)):
            opened = self._calls[number] = _OpenCall(self._begun)
            self._begun += 1
        return opened.piece(call_id, name, function.arguments)

    def _finish(self, word: Any) -> None:
        if word == "error":
            raise ServerError("the service ended the answer with an error", status=500)
        reason = finish_reason_of(word)
        if reason is None:
            reason = FinishReason.STOP
            said = f"the service ended with the unknown reason {word!r}, taken as stop"
            self._notices.append(Notice(code="unknown-finish-reason", message=said))
        self.finish_reason = reason

    def _served_by(self, model: object) -> ServedBy:
        name = model if isinstance(model, str) and model else None
        upstream = self._headers.get("x-inference-provider")
        return ServedBy(model=name, upstream=upstream, request_id=request_id_of(self._headers))

    def _raise_error(self, data: bytes, chunk: Chunk) -> None:
        """Raise if the object is an error. It may come at any time, in a 200 answer too."""
        if not (chunk.error or chunk.object == "error" or (chunk.choices is None and not chunk.usage)):
            return
        body = msgspec.json.decode(data)
        if not isinstance(body, dict) or not _ERROR_KEYS.intersection(key for key in body if body[key]):
            return
        raise error_of_event(body, request_id=request_id_of(self._headers))


class _OpenCall:
    """A tool call that comes in pieces; each says only what none before it has said."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.id: str | None = None
        self.name: str | None = None

    def piece(self, call_id: str | None, name: str | None, arguments: object) -> ToolCall:
        """What is new of the call. Whole arguments may come as an object instead of JSON text."""
        if arguments is not None and not isinstance(arguments, str):
            arguments = json.dumps(arguments, ensure_ascii=False)
        piece = ToolCall(
            index=self.index,
            id=None if self.id else call_id,
            name=None if self.name else name,
            arguments=arguments or "",
        )
        self.id, self.name = self.id or call_id, self.name or name
        return piece


_ERROR_KEYS = frozenset({"error", "error_type", "detail", "message", "msg"})

_FINISH = {
    "stop": FinishReason.STOP,
    "eos": FinishReason.STOP,
    "eos_token": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "complete": FinishReason.STOP,
    "end_turn": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "max_new_tokens": FinishReason.LENGTH,
    "model_length": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "tool_call": FinishReason.TOOL_CALLS,
    "tool_use": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
    "sensitive": FinishReason.CONTENT_FILTER,
    "safety": FinishReason.CONTENT_FILTER,
    "abort": FinishReason.INTERRUPTED,
    "cancelled": FinishReason.INTERRUPTED,
    "insufficient_system_resource": FinishReason.INTERRUPTED,
    "network_error": FinishReason.INTERRUPTED,
}
"""Recorded: the first four, length and tool_calls; the others from the services' documents and sources."""


def finish_reason_of(word: object) -> FinishReason | None:
    """The reason that a service's word stands for; None for a word that nobody knows."""
    return _FINISH.get(word.lower()) if isinstance(word, str) else None


def usage_of(fields: object) -> Usage | None:
    """`Usage` of OpenAI's object; None if there is none in it."""
    if not isinstance(fields, dict):
        return None
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    counts = {name: fields[name] for name in names if isinstance(fields.get(name), int)}
    return Usage(**counts) if counts else None


def _groq_usage(fields: object) -> object:
    return fields.get("usage") if isinstance(fields, dict) else None


def _text_of_parts(content: object) -> str:
    """Content as a list of parts: mistral's newer models send it so (by its documents)."""
    if not isinstance(content, list):
        return ""
    texts = (part.get("text") for part in content if isinstance(part, dict))
    return "".join(text for text in texts if isinstance(text, str))


def _executed(tools: object) -> Iterator[Event]:
    """Tools that the server ran by itself (groq's compound models)."""
    for tool in tools if isinstance(tools, list) else ():
        if not isinstance(tool, dict):
            continue
        said = tool.get("arguments")
        yield Progress(stage=str(tool.get("type") or "tool"), message=said if isinstance(said, str) else None)
        found = tool.get("search_results")
        results = found.get("results") if isinstance(found, dict) else None
        sources = tuple(_sources(results if isinstance(results, list) else []))
        if sources:
            yield Sources(sources=sources)


def _sources(results: list[Any]) -> Iterator[Source]:
    for result in results:
        if isinstance(result, dict) and isinstance(result.get("url"), str):
            yield Source(url=result["url"], title=result.get("title"), snippet=result.get("content"))


def _unreadable_body(body: bytes) -> str:
    if not body.strip():
        return "an empty answer"
    return f"expected a JSON answer, got: {excerpt(body)}"
