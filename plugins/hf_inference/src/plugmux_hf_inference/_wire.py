"""The chat request: what a `Request` becomes on the wire, and how a refused one may be mended. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from attrs import evolve, field, frozen

from plugmux.errors import ContextLengthError, ProviderError
from plugmux.events import Notice
from plugmux.messages import Message
from plugmux.model import Capability
from plugmux.requests import Request
from plugmux.value import Value
from plugmux_hf_inference._static import CHAT_OPTIONS

__all__ = [
    "Sending",
    "chat_sending",
    "mend",
    "messages_of",
    "notices_of",
    "with_extra",
    "with_fewer_tokens",
    "with_notices",
]


@frozen(kw_only=True, eq=False, repr=False)
class Sending(Value):
    """A JSON body to post, and what must be said about it."""

    body: dict[str, Any]
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    notices: tuple[Notice, ...] = ()


def with_notices(sending: Sending, headers: Mapping[str, str], notices: tuple[Notice, ...]) -> Sending:
    """The same with the place's own `headers` below its own, and `notices` before its own."""
    headers = {**headers, **sending.headers}
    return evolve(sending, headers=headers, notices=(*notices, *sending.notices))


def with_extra(body: Mapping[str, Any], extra: Mapping[str, Any] | None) -> dict[str, Any]:
    """The body with the caller's `extra_body`, whose `parameters` join the others and win over them."""
    merged = {**body, **(extra or {})}
    ours, theirs = body.get("parameters"), merged.get("parameters")
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        merged["parameters"] = {**ours, **theirs}
    return merged


_PLAIN = (
    "max_tokens",
    "temperature",
    "top_p",
    "seed",
    "tool_choice",
    "response_format",
    "reasoning_effort",
)


def chat_sending(request: Request) -> Sending:
    """The body of `/chat/completions`.

    `model` stands first: the router reads it from the first bytes (by both official clients' source).
    """
    options = request.options
    body: dict[str, Any] = {"model": request.model.remote_id, "messages": messages_of(request)}
    body |= {"stream": True, "stream_options": {"include_usage": True}}
    body |= {name: value for name in _PLAIN if (value := getattr(options, name)) is not None}
    if options.stop is not None:
        body["stop"] = list(options.stop)
    if options.tools is not None:
        body["tools"] = [dict(tool) for tool in options.tools]
    prefill, notices = _prefill(request)
    body |= prefill | dict(options.extra_body or {})
    return Sending(
        body=body,
        headers=dict(options.extra_headers or {}),
        notices=(*notices_of(request, CHAT_OPTIONS), *notices),
    )


def _prefill(request: Request) -> tuple[dict[str, Any], tuple[Notice, ...]]:
    """What `action="continue"` needs beside the assistant's message at the end.

    vLLM wants to be told (by its documents); llama.cpp and TGI go on by themselves (by their sources).
    """
    if request.options.action != "continue":
        return {}, ()
    if not request.messages or request.messages[-1].role != "assistant":
        return {}, (_notice("option-ignored", "there is no assistant message at the end to go on with"),)
    if request.model.extra.get("server") == "vllm":
        return {"continue_final_message": True, "add_generation_prompt": False}, ()
    match request.model.can(Capability.PREFILL):
        case True:
            return {}, ()
        case False:
            return {}, (_notice("option-ignored", "this model cannot go on with a message"),)
    return {}, (_notice("continue-uncertain", "nobody says whether this model goes on or starts anew"),)


def _notice(code: str, message: str) -> Notice:
    return Notice(code=code, option="action", message=message)


def messages_of(request: Request) -> list[dict[str, Any]]:
    """The messages in OpenAI's shape; the option `image` joins the last user message."""
    messages = [message.to_dict() for message in request.messages]
    if request.options.image is not None:
        part = {"type": "image_url", "image_url": {"url": request.options.image.data_url}}
        _attach(messages, part)
    return messages


def notices_of(request: Request, taken: frozenset[str]) -> tuple[Notice, ...]:
    """One notice for each option that was given and is not among `taken`."""
    return tuple(
        Notice(code="option-ignored", option=name, message=f"{name} cannot be sent to this model")
        for name in request.options.given()
        if name not in taken
    )


def _attach(messages: list[dict[str, Any]], part: dict[str, Any]) -> None:
    for message in reversed(messages):
        if message["role"] == "user":
            content = message["content"]
            parts = content if isinstance(content, list) else [{"type": "text", "text": content or ""}]
            message["content"] = [*parts, part]
            return
    messages.append(Message(role="user", content=(part,)).to_dict())


def mend(sending: Sending, error: ProviderError) -> Sending | None:
    """The request without what the server refused, or None if nothing can be done.

    Mended are: a server that cannot stream (recorded), or knows no `stream_options`; an answer's length
    that does not fit beside the prompt (recorded), or has a newer name; options that the answer can do
    without (by OpenAI's and pydantic's wording).
    """
    body = sending.body
    if error.status not in (400, 413, 422):
        return None
    if isinstance(error, ContextLengthError):
        return with_fewer_tokens(sending, error, name=_NEW_NAME if _NEW_NAME in body else "max_tokens")
    if "stream_options" in error.message and "stream_options" in body:
        return evolve(sending, body={k: v for k, v in body.items() if k != "stream_options"}, notices=())
    if re.search(r"\bstream\b.*not supported", error.message, re.S) and body.get("stream"):
        whole = {k: v for k, v in body.items() if k != "stream_options"} | {"stream": False}
        return evolve(sending, body=whole, notices=())
    if _NEW_NAME in error.message and "max_tokens" in body:
        renamed = {_NEW_NAME if k == "max_tokens" else k: v for k, v in body.items()}
        return evolve(sending, body=renamed, notices=())
    return _without_refused(sending, error)


_NEW_NAME = "max_completion_tokens"
_DISPENSABLE = ("temperature", "top_p", "seed", "stop", "reasoning_effort")
_UNKNOWN = re.compile(
    r"unsupported|not support|unrecognized|unknown|unexpected|not permitted|not allowed|does not take", re.I
)


def _without_refused(sending: Sending, error: ProviderError) -> Sending | None:
    """The request without the options that the server says it does not take: `param`, else what its message
    names. What decides on the kind of answer (tools, a format) is never left out."""
    if not _UNKNOWN.search(error.message):
        return None
    said = getattr(error, "param", None) or error.message
    named = [name for name in _DISPENSABLE if name in sending.body and re.search(rf"\b{name}\b", said)]
    if not named:
        return None
    body = {name: value for name, value in sending.body.items() if name not in named}
    notices = tuple(
        Notice(code="option-ignored", option=name, message=f"the server does not take {name}")
        for name in named
    )
    return evolve(sending, body=body, notices=notices)


def with_fewer_tokens(
    sending: Sending, error: ContextLengthError, *, place: str | None = None, name: str = "max_tokens"
) -> Sending | None:
    """The request with an answer as long as the server's own numbers leave room for; None without room.

    `place` is the object inside the body that holds `name`. A server's default length is lowered as well.
    """
    holder = sending.body.get(place, {}) if place else sending.body
    wanted = holder.get(name, error.wanted)
    room = room_of(error)
    if room is None or not isinstance(wanted, int) or wanted <= room:
        return None
    said = f"max_tokens lowered from {wanted} to {room}: the model's window holds {error.limit} tokens"
    notice = Notice(code="option-changed", option="max_tokens", message=said)
    lowered = {**holder, name: room}
    body = {**sending.body, place: lowered} if place else lowered
    return evolve(sending, body=body, notices=(notice,))


def room_of(error: ContextLengthError) -> int | None:
    """Tokens that the server's own numbers leave for the answer; None if unknown or nothing is left."""
    if error.limit is None or (error.given is None and error.wanted is None):
        return None
    room = error.limit - (error.given or 0)
    return room if room > 0 else None
