"""Bodies of OpenAI's chat completions, for a `FaultServer` to send."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["DONE", "body", "chunk", "chunks", "error", "tokens"]

DONE = b"data: [DONE]\n\n"
MODEL = "test/model"


def tokens(count: int, word: str = "w") -> list[str]:
    """`count` distinct pieces of text, the same every time: what a complete answer joins to."""
    return [f"{word}{number} " for number in range(1, count + 1)]


def chunk(delta: Mapping[str, Any] | None = None, *, model: str = MODEL, **more: Any) -> bytes:
    """One event. `finish_reason=` goes into the choice, anything else beside the choices; with neither
    `delta` nor `finish_reason`, `choices` is empty, as in a chunk of usage."""
    reason = more.pop("finish_reason", None)
    choices = [{"index": 0, "delta": dict(delta or {}), "finish_reason": reason}]
    whole = {
        "id": "chatcmpl-test",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": model,
        "choices": choices if delta is not None or reason else [],
    }
    return b"data: " + json.dumps(whole | more).encode() + b"\n\n"


def chunks(
    text: str | Iterable[str] = "Hello there",
    *,
    model: str = MODEL,
    finish_reason: str | None = "stop",
    usage: bool = True,
    done: bool = True,
) -> list[bytes]:
    """A whole streamed answer: the text's pieces (a string is cut before its spaces), the finish
    reason, usage in a chunk of its own, `[DONE]`. One item for each event."""
    spoken = _words(text) if isinstance(text, str) else list(text)
    events = [chunk({"content": piece}, model=model) for piece in spoken]
    if finish_reason is not None:
        events.append(chunk({}, model=model, finish_reason=finish_reason))
    if usage:
        events.append(chunk(model=model, usage=_usage(len(spoken))))
    return [*events, DONE] if done else events


def body(text: str = "Hello there", *, model: str = MODEL, finish_reason: str = "stop") -> dict[str, Any]:
    """A whole answer that is not streamed."""
    message = {"role": "assistant", "content": text}
    return {
        "id": "chatcmpl-test",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
        "usage": _usage(len(_words(text))),
    }


def error(message: str, *, code: str | None = None, type: str = "invalid_request_error") -> dict[str, Any]:
    """The body of an error."""
    return {"error": {"message": message, "type": type, "code": code, "param": None}}


def _usage(completion: int) -> dict[str, int]:
    return {"prompt_tokens": 7, "completion_tokens": completion, "total_tokens": 7 + completion}


def _words(text: str) -> list[str]:
    first, *others = text.split(" ")
    return [first, *(f" {word}" for word in others)]
