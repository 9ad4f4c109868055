"""The request of OpenAI's text completions: one flat prompt. The answer is `ChatDecoder`'s. Pure."""

from __future__ import annotations

from typing import Any

from plugmux.requests import Request
from plugmux_hf_inference._static import TEXT_OPTIONS
from plugmux_hf_inference._wire import Sending, notices_of

__all__ = ["completion_sending"]

_PLAIN = ("max_tokens", "temperature", "top_p", "seed")


def completion_sending(request: Request, prompt: str) -> Sending:
    """The body of `/v1/completions`, `model` first."""
    options = request.options
    body: dict[str, Any] = {"model": request.model.remote_id, "prompt": prompt}
    body |= {"stream": True, "stream_options": {"include_usage": True}}
    body |= {name: value for name in _PLAIN if (value := getattr(options, name)) is not None}
    if options.stop is not None:
        body["stop"] = list(options.stop)
    body |= dict(options.extra_body or {})
    return Sending(
        body=body, headers=dict(options.extra_headers or {}), notices=notices_of(request, TEXT_OPTIONS)
    )
