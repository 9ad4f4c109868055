"""From an error body of the Hub, the router, TGI or a provider behind them to a typed error.

It knows what the status alone does not say: which quota is used up, by how much a prompt is too long,
whether a gate or a filter is in the way. Shapes are those of recorded answers unless marked otherwise.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from plugmux.errors import (
    AuthenticationError,
    ContentFilterError,
    ContextLengthError,
    InvalidRequestError,
    ModelLoadingError,
    ModelNotFoundError,
    PermissionDeniedError,
    ProviderError,
    QuotaExceededError,
    RateLimitError,
    Scope,
)
from plugmux.huggingface.windows import numbers_of
from plugmux.statuses import EXCERPT, error_facts, error_text, kind_of_status, text_of

if TYPE_CHECKING:
    from plugmux.http import Response

__all__ = ["error_of", "error_of_event"]


def error_of(response: Response) -> ProviderError:
    """The error that an answer of status 400 and more stands for."""
    facts = error_facts(response)
    body = _body(response.content)
    text = error_text(response)
    said = response.headers.get("x-error-message", "")
    if said and not (text_of(body) if body is not None else response.text.strip()):
        text = said[:EXCERPT]
    error = _typed(text, body, facts, gated=_code_of(response) == "GatedRepo")
    error.code = _code_of(response) or error.code
    return error


def error_of_event(body: Mapping[str, Any], *, request_id: str | None = None) -> ProviderError:
    """The error that an event inside a 200 stream stands for: `{"error": …}` of any shape."""
    status = _status_of_event(body)
    excerpt = json.dumps(body, ensure_ascii=False, default=str)[:EXCERPT]
    facts = {"status": status, "request_id": request_id, "body": excerpt}
    text = text_of(body) or f"an error inside the stream: {excerpt}"
    return _typed(text, dict(body), facts)


def _code_of(response: Response) -> str | None:
    """The Hub's own word for what is wrong: `RepoNotFound`, `GatedRepo` (by its client's source)."""
    return response.headers.get("x-error-code") or None


_STATUS_OF_TYPE = {
    "generation": 424,
    "overloaded": 429,
    "validation": 422,
    "incomplete_generation": 500,
    "incomplete_generation_stream": 500,
    "template_error": 422,
    "missing_template_variable": 422,
    "tool_error": 422,
    "stream_serialization_error": 500,
    "invalid_request_error": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "rate_limit_error": 429,
}
"""TGI's `error_type` and the statuses its server gives them; the rest is OpenAI's `type`."""


def _status_of_event(body: Mapping[str, Any]) -> int:
    inner = _inner(body)
    stated = (
        place.get(key)
        for place in (inner, body)
        for key in ("status", "status_code", "code", "http_status_code")
    )
    for value in stated:
        number = int(value) if isinstance(value, str) and value.isdecimal() else value
        if isinstance(number, int) and 400 <= number <= 599:
            return number
    return _STATUS_OF_TYPE.get(_kind(body), 500)


def _typed(text: str, body: Any, facts: dict[str, Any], *, gated: bool = False) -> ProviderError:
    status = facts["status"]
    body = body if isinstance(body, dict) else {}
    inner = _inner(body)
    facts |= {"code": _word(inner.get("code")) or _kind(body) or None}
    if status < 500 and _is_filtered(text, inner, status):
        return ContentFilterError(text, **facts)
    if status in (400, 413, 422) and (error := _context_error(text, inner, facts)):
        return error
    if status in (401, 403, 404) and (gated or _GATED.search(text)):
        # A gate shuts one model; the credential is good for the others.
        return PermissionDeniedError(text, remedy=_GATE_REMEDY, scope=Scope.CANDIDATE, **facts)
    if facts["code"] in _NO_MODEL:
        return ModelNotFoundError(text, remedy=_NO_MODEL[facts["code"]], **facts)
    if status == 429 and _EMPTY.search(f"{facts['code']} {_kind(body)}"):
        return QuotaExceededError(text, scope=Scope.UPSTREAM, **facts)
    if status == 503 and (seconds := _estimate(body)) is not None:
        return ModelLoadingError(text, **facts | {"retry_after": facts.get("retry_after") or seconds})
    return _by_status(text, inner, facts)


def _by_status(text: str, inner: Mapping[str, Any], facts: dict[str, Any]) -> ProviderError:
    kind = kind_of_status(facts["status"])
    if kind is InvalidRequestError:
        return InvalidRequestError(text, param=_word(inner.get("param")), **facts)
    if kind is QuotaExceededError:
        scope = Scope.UPSTREAM if _ONE_UPSTREAM.search(text) else Scope.ACCOUNT
        return QuotaExceededError(text, scope=scope, remedy=_QUOTA_REMEDY, **facts)
    if kind is PermissionDeniedError and _NO_PERMISSION.search(text):
        return PermissionDeniedError(text, remedy=_PERMISSION_REMEDY, **facts)
    if kind is AuthenticationError:
        remedy = _EXPIRED_REMEDY if "expired" in text.lower() else _TOKEN_REMEDY
        return AuthenticationError(text, remedy=remedy, **facts)
    if kind is RateLimitError and "log in" in text:
        return RateLimitError(text, remedy=_TOKEN_REMEDY, **facts)
    return kind(text, **facts)


_GATED = re.compile(r"\bgated\b|awaiting (a )?review|must be authenticated to access it|ask for access", re.I)
_EMPTY = re.compile(r"insufficient_quota|billing_hard_limit|credit_balance")
_ONE_UPSTREAM = re.compile(r"usage limit for [\w-]+", re.I)
_NO_PERMISSION = re.compile(r"sufficient permissions", re.I)
_FILTERED = re.compile(
    r"content[ _](management )?(filter|policy)|content moderation|flagged (as|for|by)"
    r"|safety (system|filter)|NSFW content",
    re.I,
)
_FILTER_CODES = frozenset(
    {
        "content_filter",
        "content_policy_violation",
        "content_filter_error",
        "data_inspection_failed",
        "moderation",
    }
)

_TOKENS_PAGE = "https://huggingface.co/settings/tokens"
_TOKEN_REMEDY = f"set HF_TOKEN, or run `plugmux auth login hf-inference`; tokens are made at {_TOKENS_PAGE}"
_EXPIRED_REMEDY = f"the token has expired: make a new one at {_TOKENS_PAGE}"
_PERMISSION_REMEDY = f"give the token the permission to call Inference Providers at {_TOKENS_PAGE}"
_GATE_REMEDY = "accept the model's terms on its page at huggingface.co, signed in as the token's owner"
_QUOTA_REMEDY = "see https://huggingface.co/settings/billing"
_NO_MODEL = {
    "model_not_supported": "enable more providers at https://huggingface.co/settings/inference-providers",
    "model_not_found": "",
}


def _is_filtered(text: str, inner: Mapping[str, Any], status: int) -> bool:
    if {_word(inner.get("code")), _word(inner.get("type"))} & _FILTER_CODES:
        return True
    return status in (400, 403, 422, 451) and bool(_FILTERED.search(text))


def _context_error(text: str, inner: Mapping[str, Any], facts: dict[str, Any]) -> ContextLengthError | None:
    numbers = numbers_of(text, inner)
    if numbers is None:
        return None
    return ContextLengthError(text, limit=numbers.limit, given=numbers.given, wanted=numbers.wanted, **facts)


def _body(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None


def _inner(body: Mapping[str, Any]) -> Mapping[str, Any]:
    error = body.get("error")
    return error if isinstance(error, dict) else body


def _kind(body: Mapping[str, Any]) -> str:
    return _word(body.get("error_type")) or _word(_inner(body).get("type")) or ""


def _word(value: object) -> str | None:
    return (
        str(value) if isinstance(value, str | int) and not isinstance(value, bool) and value != "" else None
    )


def _estimate(body: Mapping[str, Any]) -> float | None:
    seconds = body.get("estimated_time")
    return float(seconds) if isinstance(seconds, int | float) else None
