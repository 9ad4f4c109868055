"""What the sandbox says: synthetic answers in the shapes of OpenAI's chat and of TGI. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from plugmux.sandbox import answer, pieces

__all__ = [
    "CHAT_MODELS",
    "SEEING_MODELS",
    "TEXT_MODELS",
    "chat_answer",
    "chat_chunks",
    "generated",
    "token_events",
]

CHAT_MODELS = ("sandbox/chat", "sandbox/thinking", "sandbox/vision")
SEEING_MODELS = ("sandbox/vision",)
TEXT_MODELS = ("sandbox/gpt2-like",)

_THOUGHT = "This is the plugmux sandbox thinking, which it does not."


def chat_chunks(asked: Mapping[str, Any], model: str) -> Iterator[dict[str, Any]]:
    """The chunks of a streamed answer."""
    said: list[str] = []
    if tool := _tool_of(asked):
        yield from _tool_chunks(tool, model)
    else:
        said, reason = _said(asked)
        thinks = pieces(f"<think>\n{_THOUGHT}\n</think>\n\n") if model == "sandbox/thinking" else []
        for piece in (*thinks, *said):
            yield _chunk(model, {"role": "assistant", "content": piece})
        yield _chunk(model, {}, reason)
    if (asked.get("stream_options") or {}).get("include_usage"):
        yield {**_chunk(model, {}), "choices": [], "usage": _usage(asked, said)}


def chat_answer(asked: Mapping[str, Any], model: str) -> dict[str, Any]:
    """A whole answer."""
    if tool := _tool_of(asked):
        call = {"id": "sandbox-0", "type": "function", "function": {"name": tool, "arguments": "{}"}}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
        return _whole(model, message, "tool_calls", _usage(asked, []))
    said, reason = _said(asked)
    return _whole(model, {"role": "assistant", "content": "".join(said)}, reason, _usage(asked, said))


def token_events(asked: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """TGI's stream: a token an event, the last with the whole text."""
    said, reason = _generated_pieces(asked)
    for index, piece in enumerate(said, 1):
        last = index == len(said)
        yield {
            "index": index,
            "token": {"id": index, "text": piece, "logprob": -0.5, "special": False},
            "generated_text": "".join(said) if last else None,
            "details": _details(said, reason) if last else None,
        }


def generated(asked: Mapping[str, Any]) -> dict[str, Any]:
    """TGI's whole answer."""
    said, reason = _generated_pieces(asked)
    return {"generated_text": "".join(said), "details": _details(said, reason)}


def _generated_pieces(asked: Mapping[str, Any]) -> tuple[list[str], str]:
    parameters = asked.get("parameters") or {}
    said = pieces(answer(str(asked.get("inputs", ""))))
    limit = parameters.get("max_new_tokens")
    if isinstance(limit, int) and limit < len(said):
        return said[:limit], "length"
    return said, "eos_token"


def _details(said: Sequence[str], reason: str) -> dict[str, Any]:
    return {"finish_reason": reason, "generated_tokens": len(said), "seed": None}


def _said(asked: Mapping[str, Any]) -> tuple[list[str], str]:
    """The answer's pieces, and why it ends there. A final assistant message is gone on with."""
    messages = asked.get("messages") or []
    text = answer(_text(_last(messages, "user")))
    if messages and messages[-1].get("role") == "assistant":
        begun = _text(messages[-1])
        text = text[len(begun) :] if text.startswith(begun) else f" {text}"
    said = pieces(text)
    limit = asked.get("max_tokens")
    if isinstance(limit, int) and limit < len(said):
        return said[:limit], "length"
    return said, "stop"


def _tool_of(asked: Mapping[str, Any]) -> str | None:
    """The tool that the sandbox calls: the one that was chosen, else the first; none if one was just answered
    or may not be called."""
    messages, choice = asked.get("messages") or [], asked.get("tool_choice")
    if choice == "none" or (messages and messages[-1].get("role") == "tool"):
        return None
    if isinstance(choice, Mapping):
        return (choice.get("function") or {}).get("name")
    functions = (tool.get("function") or {} for tool in asked.get("tools") or ())
    return next((function.get("name") for function in functions), None)


def _tool_chunks(tool: str, model: str) -> Iterator[dict[str, Any]]:
    for number, part in enumerate(("{", "}")):
        function = {"name": tool, "arguments": part} if number == 0 else {"arguments": part}
        call = {"index": 0, "function": function}
        if number == 0:
            call |= {"id": "sandbox-0", "type": "function"}
        yield _chunk(model, {"tool_calls": [call]})
    yield _chunk(model, {}, "tool_calls")


def _chunk(model: str, delta: Mapping[str, Any], reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {"id": "sandbox", "object": "chat.completion.chunk", "model": model, "choices": [choice]}


def _whole(model: str, message: Any, reason: str, usage: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": message, "finish_reason": reason}
    head = {"id": "sandbox", "object": "chat.completion", "model": model}
    return {**head, "choices": [choice], "usage": usage}


def _usage(asked: Mapping[str, Any], said: Sequence[str]) -> dict[str, int]:
    prompt = sum(len(_text(message).split()) for message in asked.get("messages") or ())
    return {"prompt_tokens": prompt, "completion_tokens": len(said), "total_tokens": prompt + len(said)}


def _last(messages: Sequence[Mapping[str, Any]], role: str) -> Mapping[str, Any]:
    return next((message for message in reversed(messages) if message.get("role") == role), {})


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return " ".join(str(part.get("text", f"({part.get('type')})")) for part in content)
    return str(content or "")
