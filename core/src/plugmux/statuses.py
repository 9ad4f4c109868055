"""From a status and a body to a typed error: the part that most services share.

The text of an error stands in many places; the order here is the one that Hugging Face's services and
the providers behind its router use between them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from plugmux.errors import (
    AuthenticationError,
    InvalidRequestError,
    ModelNotFoundError,
    PermissionDeniedError,
    ProviderError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
)

if TYPE_CHECKING:
    from plugmux.http import Response

__all__ = ["error_facts", "error_of_status", "error_text", "kind_of_status", "retry_after_of"]

EXCERPT = 300


def error_of_status(response: Response) -> ProviderError:
    """The error that an answer of status 400 and more stands for."""
    kind = kind_of_status(response.status)
    return kind(error_text(response), **error_facts(response))


def kind_of_status(status: int) -> type[ProviderError]:
    """The class of error for an HTTP status."""
    match status:
        case 401:
            return AuthenticationError
        case 402:
            return QuotaExceededError
        case 403:
            return PermissionDeniedError
        case 404 | 410:
            return ModelNotFoundError
        case 429:
            return RateLimitError
        case 408 | 424 | 425:
            return ServerError
        case _ if status >= 500:
            return ServerError
        case _:
            return InvalidRequestError


def error_facts(response: Response) -> dict[str, Any]:
    """`status`, `retry_after`, `request_id` and `body` of an answer, as keyword arguments."""
    return {
        "status": response.status,
        "retry_after": retry_after_of(response.headers),
        "request_id": request_id_of(response.headers),
        "body": response.text[:EXCERPT],
    }


def request_id_of(headers: Mapping[str, str]) -> str | None:
    """The id under which the service knows the request."""
    names = ("x-request-id", "x-amzn-trace-id", "x-amz-cf-id", "inference-id", "x-inference-id")
    return next(filter(None, map(headers.get, names)), None)


def retry_after_of(headers: Mapping[str, str]) -> float | None:
    """Seconds that the service asks for: `Retry-After` (seconds or a date), else the Hub's
    `RateLimit: "api";r=0;t=17`, which counts only when nothing is left (r=0)."""
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", value):
        return float(value)
    if value:
        return _seconds_until(value)
    limit = re.search(r"\br=0\b.*?\bt=(\d+)", headers.get("ratelimit", ""))
    return float(limit[1]) if limit else None


def _seconds_until(date: str) -> float | None:
    from datetime import UTC, datetime
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def error_text(response: Response) -> str:
    """What the service says went wrong, in one short line."""
    try:
        body = json.loads(response.content)
        said = text_of(body) or (_line(response.text) if _has_words(body) else "")
    except (ValueError, RecursionError):
        said = _plain(response)
    return said or f"HTTP {response.status} without a word"


def text_of(body: object, *, depth: int = 8) -> str:
    """The message inside an error body of any of the known shapes, at most `depth` levels down; "" if
    there is none."""
    match body:
        case str():
            return _line(body)
        case list() if depth:
            return _line("; ".join(filter(None, (text_of(item, depth=depth - 1) for item in body))))
        case {"loc": ["body", *place], "msg": str(said)} if place:  # FastAPI's: what is it that is required?
            return _line(f"{'.'.join(map(str, place))}: {said}")
        case {"error": dict() | list() | str() as inner} if inner and depth:
            return text_of(inner, depth=depth - 1)
        case dict() if depth:
            found = (text_of(body[key], depth=depth - 1) for key in _TEXT_KEYS if body.get(key))
            return next(filter(None, found), "")
    return ""


def _has_words(body: object, depth: int = 8) -> bool:
    """Whether there is any text in a body whose keys nobody knows."""
    inner = body.values() if isinstance(body, dict) else body if isinstance(body, list) and depth else ()
    return (isinstance(body, str) and bool(body.strip())) or any(_has_words(one, depth - 1) for one in inner)


_TEXT_KEYS = ("message", "msg", "detail", "title", "error_message", "error_type")


def _plain(response: Response) -> str:
    if b"<html" in response.content[:2000].lower() or b"<!doctype" in response.content[:200].lower():
        title = re.search(r"<title>(.*?)</title>", response.text, re.I | re.S)
        return f"an HTML page instead of an answer{': ' + _line(title[1]) if title else ''}"
    return _line(response.text)


def _line(text: str) -> str:
    return " ".join(text.split())[:EXCERPT]
