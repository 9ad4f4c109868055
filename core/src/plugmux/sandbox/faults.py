"""The faults that a model's name can ask for, as values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

__all__ = ["FAULTS", "Fault", "Timings", "fault_models"]

_NAME = re.compile(r"(?:^|/)sandbox/fault-([a-z0-9-]+)", re.IGNORECASE)


@frozen(kw_only=True)
class Timings:
    """How long the slow faults take, in seconds. Tests set them small.

    `token` lies between the pieces of a healthy stream, so that a person sees it stream.
    """

    token: float = 0.02
    silent: float = 600.0
    slow_first_token: float = 20.0
    stall: float = 600.0


@frozen(kw_only=True)
class Fault:
    """One way to fail.

    `status`, `headers`, `code` and `message` are those of an error answer; `status` None is an answer
    that starts well. `once`: every second request to the model succeeds, so that a retry does.
    """

    name: str
    summary: str
    status: int | None = None
    headers: Mapping[str, str] = field(factory=dict)
    code: str | None = None
    message: str = ""
    once: bool = False

    @classmethod
    def of(cls, model_id: str) -> Fault | None:
        """The fault that a model's name asks for: `sandbox/fault-NAME`, with or without what services
        put around it (`spaces/`, `:upstream`). An unknown NAME is a 404 that lists the known ones."""
        found = _NAME.search(model_id)
        if found is None:
            return None
        name = found[1].lower()
        return FAULTS.get(name) or _unknown(name)

    def openai_body(self) -> dict[str, Any]:
        """The error in OpenAI's shape: `{"error": {"message", "type", "code"}}`."""
        return {"error": {"message": self.message, "type": "sandbox_error", "code": self.code}}


def _unknown(name: str) -> Fault:
    known = ", ".join(FAULTS)
    return Fault(
        name=name,
        summary="an unknown fault",
        status=404,
        code="model_not_found",
        message=f"plugmux sandbox: there is no fault {name!r}; known: {known}",
    )


def _error(name: str, status: int, code: str, message: str, **more: Any) -> Fault:
    summary = more.pop("summary", f"answers {status}")
    said = f"plugmux sandbox: {message}"
    return Fault(name=name, summary=summary, status=status, code=code, message=said, **more)


FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for fault in (
        _error("429", 429, "rate_limited", "too many requests"),
        _error(
            "429-retry-after",
            429,
            "rate_limited",
            "too many requests, come back in 2 seconds",
            headers={"Retry-After": "2"},
            summary="answers 429 with Retry-After: 2",
        ),
        _error("500", 500, "server_error", "the server failed"),
        _error(
            "500-once",
            500,
            "server_error",
            "the server failed this time",
            once=True,
            summary="answers 500 and serves every second request",
        ),
        _error("503", 503, "unavailable", "the service is unavailable"),
        _error("401", 401, "invalid_token", "the token is not valid"),
        _error("402", 402, "payment_required", "the included credits are used up"),
        _error("403", 403, "forbidden", "the token may not use this model"),
        _error("404", 404, "model_not_found", "there is no such model"),
        _error(
            "context-length",
            400,
            "context_length_exceeded",
            "This model's maximum context length is 4096 tokens, but the request has 5000 tokens",
            summary="says that the prompt is too long (400)",
        ),
        _error(
            "content-filter",
            400,
            "content_filter",
            "the content was refused by the sandbox's filter",
            summary="refuses the content (400)",
        ),
        Fault(name="silent", summary="takes the request and never answers"),
        Fault(name="slow-first-token", summary="sends its headers, and the first token 20 s later"),
        Fault(name="cut", summary="breaks the connection in the middle of the answer"),
        Fault(name="stall", summary="falls silent in the middle of the answer"),
        Fault(name="malformed-chunk", summary="sends one chunk cut in half"),
        Fault(name="no-done", summary="leaves out the last word of the protocol ([DONE])"),
        Fault(name="empty", summary="answers 200 without a body"),
        Fault(name="html", summary="answers 200 with an HTML page"),
        Fault(name="half-json", summary="answers 200 with half a JSON object"),
    )
}
"""Every fault by its name, the way `sandbox/fault-NAME` spells it."""


def fault_models() -> tuple[str, ...]:
    """The model names that ask for a fault, for a plugin's list of models."""
    return tuple(f"sandbox/fault-{name}" for name in FAULTS)
