"""What chat-ui's refusals mean: whole answers and error lines inside a stream, as typed errors.

Two keys carry the text: hooks of the server (401, 403 for the Origin) say `error` or plain text, its
routes say `message`. A server with login answers `POST /conversation` with a redirect to the login page
instead of a 401. All of it was seen in recorded traffic, apart from 410, which is documented only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

import attrs

from plugmux.errors import (
    AuthenticationError,
    ContextLengthError,
    InvalidRequestError,
    MalformedResponseError,
    ModelNotFoundError,
    PermissionDeniedError,
    ProviderError,
    QuotaExceededError,
    RateLimitError,
    Scope,
    ServerError,
    StreamCutError,
)
from plugmux.http import Response
from plugmux.huggingface.failures import error_of_event
from plugmux.huggingface.windows import numbers_of
from plugmux.statuses import error_facts, error_text, kind_of_status

__all__ = ["GONE", "LOGIN_REMEDY", "conceal", "error_of", "error_of_update", "not_a_stream"]

GONE = frozenset({"conversation-gone", "conversation-full"})
"""Codes of errors after which the conversation has to be started anew."""

LOGIN_REMEDY = (
    "log in with `plugmux auth login hf-chat`, or put the site's cookies (hf-chat, and token for "
    "huggingface.co) into the folder har_and_cookies of plugmux's settings folder"
)


def error_of(response: Response) -> ProviderError:
    """The error that an answer of status 300 and more stands for."""
    if response.status < 400:
        return _redirected(response)
    said, facts = error_text(response), error_facts(response)
    match response.status:
        case 401:
            return AuthenticationError(said, remedy=LOGIN_REMEDY, **facts)
        case 403:
            return _forbidden(said, facts)
        case 404:
            return _missing(response, said, facts)
        case 405:
            return MalformedResponseError(f"the server does not take the request: {said}", **facts)
        case 413:
            return InvalidRequestError(f"too large: {said}", param="image", **facts)
        case 429:
            return _too_many(said, facts)
        case 400 if said == "Invalid request" and urlsplit(response.url).path.endswith("/conversation"):
            return ModelNotFoundError("the server does not offer the model (Invalid request)", **facts)
        case 400 if "too long" in said.lower():
            return ContextLengthError(said, **facts)
    return kind_of_status(response.status)(said, **facts)


def _redirected(response: Response) -> ProviderError:
    """A redirect to the same server is a wrong address; any other one leads to a login page."""
    facts = error_facts(response)
    target = urljoin(response.url, response.headers.get("location", ""))
    here, there = urlsplit(response.url), urlsplit(target)
    if there.hostname == here.hostname and not re.search(r"/(login|oauth|authorize)", there.path):
        place = f"{there.scheme}://{there.netloc}"
        remedy = f"set base_url to the server's own address (it points at {place})"
        return MalformedResponseError("the server redirects the request", remedy=remedy, **facts)
    return AuthenticationError(
        "not logged in: the server redirects to its login", remedy=LOGIN_REMEDY, **facts
    )


def _forbidden(said: str, facts: dict[str, Any]) -> ProviderError:
    low = said.lower()
    if "access to this conversation" in low:
        return InvalidRequestError(said, param="conversation", code="conversation-gone", **facts)
    if "origin" in low or "referer" in low:
        remedy = "set base_url to the address under which the server is known to browsers"
        return PermissionDeniedError(f"the server refuses the Origin: {said}", remedy=remedy, **facts)
    return PermissionDeniedError(said, **facts)


def _missing(response: Response, said: str, facts: dict[str, Any]) -> ProviderError:
    low = said.lower()
    if low.startswith("conversation not found"):
        return InvalidRequestError(said, param="conversation", code="conversation-gone", **facts)
    if low.startswith("message not found"):
        return InvalidRequestError(said, param="extra_body", code="message-gone", **facts)
    if low.startswith("model"):
        return ModelNotFoundError(said, **facts)
    remedy = "check base_url: is it a chat-ui server, and is its base path (/chat) there?"
    return MalformedResponseError(f"nothing at {urlsplit(response.url).path}: {said}", remedy=remedy, **facts)


def _too_many(said: str, facts: dict[str, Any]) -> ProviderError:
    low = said.lower()
    if "conversation has more than" in low:
        return InvalidRequestError(said, param="conversation", code="conversation-full", **facts)
    if "number of conversations" in low:
        remedy = "delete some conversations on the site"
        return QuotaExceededError(said, remedy=remedy, scope=Scope.CREDENTIAL, **facts)
    return RateLimitError(said, **facts)


def not_a_stream(response: Response) -> ProviderError:
    """The error for an answer of status 200 that is no message stream (an HTML page, say)."""
    kind = response.content_type or "untyped content"
    return MalformedResponseError(
        f"expected a message stream, got {kind}: {error_text(response)}",
        status=response.status,
        body=response.text[:300],
    )


def error_of_update(update: Mapping[str, Any], *, started: bool) -> ProviderError:
    """The error of `{"type": "status", "status": "error", message?, statusCode?}` in a stream.

    The server has by then tried twice itself (a 429 or 5xx of its upstream six times), so none of these is
    worth a retry by the same road. `started`: the answer has said something already.
    """
    said = update.get("message")
    message = said if isinstance(said, str) and said else ""
    status = _status_of(update, message)
    if status == 404 and not message:
        # Seen where a file of the conversation is no longer stored: no message, and no model at fault.
        return InvalidRequestError("a file of the conversation is no longer there", param="image", status=404)
    text = message or "the server reports an error without a word"
    return _unnumbered(text, started) if status is None else _numbered(text, status)


def _numbered(text: str, status: int) -> ProviderError:
    """An error of the model's own service: a router or endpoint of Hugging Face as a rule."""
    error = error_of_event({"message": text, "status": status})
    error.status, error.body, error.retryable = status, text[:300], False
    match error:
        case AuthenticationError():
            error.remedy = LOGIN_REMEDY
        case PermissionDeniedError():
            error.scope = Scope.CANDIDATE  # one model is closed, not the account
    return error


def _status_of(update: Mapping[str, Any], message: str) -> int | None:
    status = update.get("statusCode")
    if isinstance(status, int) and 400 <= status < 600:
        return status
    # Servers from before statusCode came up put it in front of the text.
    leading = re.match(r"([45]\d\d)\b", message)
    return int(leading[1]) if leading else None


def _unnumbered(text: str, started: bool) -> ProviderError:
    facts: dict[str, Any] = {"retryable": False, "body": text[:300]}
    if "image format" in text:
        return InvalidRequestError(text, param="image", **facts)
    if (numbers := numbers_of(text, {})) is not None:
        return ContextLengthError(text, **attrs.asdict(numbers), **facts)
    return (StreamCutError if started else ServerError)(text, **facts)


def conceal(failure: ProviderError, headers: Mapping[str, str]) -> ProviderError:
    """Blot out every cookie value of `headers` where a service's answer quotes it."""
    for cookie in headers.get("Cookie", "").split(";"):
        value = cookie.strip().partition("=")[2]
        if len(value) >= 6:
            failure.message = failure.message.replace(value, "[secret]")
            failure.body = failure.body.replace(value, "[secret]") if failure.body else failure.body
    failure.args = (failure.message,)
    return failure
