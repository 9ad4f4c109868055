"""The shapes of OpenAI's chat answers, as far as they are read: chunks of a stream and whole answers.

What several services spell differently is `Any` here and checked where it is used: a field of an
unexpected type must not cost the whole chunk.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

__all__ = ["Call", "Choice", "Chunk", "Delta", "Function"]


class Function(Struct, gc=False):
    name: Any = None
    arguments: Any = None


class Call(Struct, gc=False):
    index: Any = None
    id: Any = None
    function: Function | None = None


class Delta(Struct, gc=False):
    """`delta` of a chunk, `message` of a whole answer.

    `tool_calls` is one object and no list in old TGI. `executed_tools` are groq's: run by the server.
    """

    content: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    refusal: Any = None
    tool_calls: list[Call] | Call | None = None
    executed_tools: Any = None


class Choice(Struct, gc=False):
    """`text` is a text completion's, and together's copy of the delta's content."""

    index: Any = 0
    delta: Delta | None = None
    message: Delta | None = None
    text: Any = None
    finish_reason: Any = None


class Chunk(Struct, gc=False):
    choices: list[Choice] | None = None
    usage: Any = None
    x_groq: Any = None
    model: Any = None
    error: Any = None
    object: Any = None
