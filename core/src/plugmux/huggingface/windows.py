"""The numbers in a server's complaint that prompt and answer do not fit its window."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from plugmux.value import Value

__all__ = ["Numbers", "numbers_of"]


@frozen(kw_only=True, eq=False, repr=False)
class Numbers(Value):
    """Tokens: the window, what the prompt has, what the answer was to have. None is not stated."""

    limit: int | None = None
    given: int | None = None
    wanted: int | None = None


def numbers_of(text: str, body: Mapping[str, Any]) -> Numbers | None:
    """What `text` and `body` of an error say about the window; None if they are about something else."""
    if body.get("type") == "exceed_context_size_error":  # llama.cpp, by its source
        return Numbers(limit=_whole(body.get("n_ctx")), given=_whole(body.get("n_prompt_tokens")))
    for pattern in _PATTERNS:
        if found := pattern.search(text):
            return Numbers(**{name: _number(value) for name, value in found.groupdict().items()})
    if str(body.get("code")) in _CODES or _WORDS.search(text):
        return Numbers()
    return None


_PATTERNS = tuple(
    re.compile(pattern, re.I | re.S)
    for pattern in (
        # TGI, recorded
        r"tokens \+ `max_new_tokens` must be <= (?P<limit>\d+)"
        r"(.*?Given: (?P<given>\d+) .*? and (?P<wanted>\d+))?",
        r"`inputs` must have less than (?P<limit>\d+) tokens(.*?Given: (?P<given>\d+))?",
        r"`max_new_tokens` must be <= (?P<limit>\d+)(.*?Given: (?P<wanted>\d+))?",
        # vLLM and OpenAI, by their sources and documents
        r"maximum context length is (?P<limit>[\d,]+) tokens.*?"
        r"\((?P<given>[\d,]+) in the messages,? (and )?(?P<wanted>[\d,]+) in the completion",
        r"maximum context length is (?P<limit>[\d,]+) tokens and your request has (?P<given>[\d,]+) input",
        r"maximum context length is (?P<limit>[\d,]+) tokens"
        r"(.*?(resulted in|requested|contains(?: at least)?|has) (?P<given>[\d,]+) )?",
        r"prompt is too long: (?P<given>[\d,]+) tokens > (?P<limit>[\d,]+)",
        r"input length (?P<given>[\d,]+) .{0,40}(?:exceeds|longer than).{0,60}?(?P<limit>[\d,]{3,})",
    )
)
_CODES = frozenset({"context_length_exceeded", "context_window_exceeded", "string_above_max_length"})
_WORDS = re.compile(
    r"context (length|window|size).{0,40}exceed|exceed.{0,60}context (length|window|size)", re.I
)


def _number(digits: str | None) -> int | None:
    return int(digits.replace(",", "")) if digits else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
