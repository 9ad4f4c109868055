"""What goes over the wire, as pure functions: bodies, messages of the queue, errors.

The routes and messages are those of recorded traffic with gradio 4.16 to 6.31 (protocols sse_v1 to sse_v3).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote

from attrs import field, frozen

from plugmux.errors import (
    AuthenticationError,
    ContentFilterError,
    InvalidRequestError,
    MalformedResponseError,
    ModelNotFoundError,
    PermissionDeniedError,
    ProviderError,
    ServerError,
    StreamCutError,
)
from plugmux.statuses import error_facts, error_of_status, error_text
from plugmux_hf_space._zerogpu import zerogpu_error

if TYPE_CHECKING:
    from plugmux.http import Response

__all__ = [
    "HEADERS",
    "Broken",
    "Completed",
    "Estimation",
    "Generating",
    "Log",
    "Message",
    "Other",
    "Report",
    "Starts",
    "cancel_body",
    "error_of",
    "file_route",
    "job_error",
    "join_body",
    "message_of",
]

HEADERS = {"x-gradio-user": "api"}
"""The `spaces` package then gives plain-text advice instead of web wording (by its source)."""


@frozen(kw_only=True)
class Estimation:
    """Where the job stands: `rank` 0 is next, `eta` seconds."""

    event_id: str | None = None
    rank: int | None = None
    eta: float | None = None


@frozen(kw_only=True)
class Starts:
    event_id: str | None = None
    eta: float | None = None


@frozen(kw_only=True)
class Report:
    """gr.Progress: the latest state of its outermost bar."""

    event_id: str | None = None
    fraction: float | None = None
    text: str = ""


@frozen(kw_only=True)
class Log:
    """gr.Info, gr.Warning; `title` from gradio 5 on."""

    event_id: str | None = None
    text: str = ""
    level: str = "info"
    title: str = ""


@frozen(kw_only=True)
class Generating:
    """A generator's next value: whole at first, then edits (`_diffs`); whole always in sse_v1."""

    event_id: str | None = None
    data: Sequence[Any] = field(default=(), repr=False)


@frozen(kw_only=True)
class Completed:
    """The job is over: `data` is the whole result, None if it failed or was cancelled."""

    event_id: str | None = None
    data: Sequence[Any] | None = field(default=None, repr=False)
    error: ProviderError | None = None


@frozen(kw_only=True)
class Broken:
    """`unexpected_error`: the session is unknown, the queue stopped."""

    event_id: str | None = None
    error: ProviderError


@frozen(kw_only=True)
class Other:
    """A heartbeat, the end of the stream, or a kind of a newer gradio."""

    event_id: str | None = None
    name: str = ""


Message: TypeAlias = Estimation | Starts | Report | Log | Generating | Completed | Broken | Other


def join_body(data: Sequence[Any], fn_index: int, session: str) -> dict[str, Any]:
    """The body of `queue/join`: every input in its place, null for State."""
    return {
        "data": list(data),
        "fn_index": fn_index,
        "session_hash": session,
        "event_data": None,
        "trigger_id": None,
    }


def cancel_body(session: str, fn_index: int, event_id: str) -> dict[str, Any]:
    return {"session_hash": session, "fn_index": fn_index, "event_id": event_id}


def file_route(path: str) -> str:
    """The route of a file that the app gives out. Its own `url` is wrong in some versions (recorded)."""
    return f"/file={quote(path, safe='/')}"


def message_of(content: bytes) -> Message:
    """One message of `queue/data`. Raises MalformedResponseError."""
    try:
        body = json.loads(content)
    except (ValueError, RecursionError) as error:
        shown = content[:100].decode("utf-8", "replace")
        raise MalformedResponseError(f"a message of the queue is not JSON: {shown}") from error
    if not isinstance(body, Mapping):
        raise MalformedResponseError(f"a message of the queue is no object: {str(body)[:100]}")
    event_id = body.get("event_id")
    return _message(body, event_id if isinstance(event_id, str) else None)


def _message(body: Mapping[str, Any], event_id: str | None) -> Message:
    name = str(body.get("msg"))
    match name:
        case "estimation":
            rank = body.get("rank")
            rank = rank if isinstance(rank, int) else None
            return Estimation(event_id=event_id, rank=rank, eta=_number(body.get("rank_eta")))
        case "process_starts":
            return Starts(event_id=event_id, eta=_number(body.get("eta")))
        case "progress":
            return _report(body, event_id)
        case "log":
            texts = {key: str(body.get(key) or "") for key in ("level", "title")}
            return Log(event_id=event_id, text=str(body.get("log") or ""), **texts)
        case "process_generating" | "process_streaming" | "process_completed":
            return _output(body, event_id, completed=name == "process_completed")
        case "unexpected_error":
            return Broken(event_id=event_id, error=_broken(body))
    return Other(event_id=event_id, name=name)


def _report(body: Mapping[str, Any], event_id: str | None) -> Report:
    rows = body.get("progress_data")
    row = rows[0] if isinstance(rows, list) and rows and isinstance(rows[0], Mapping) else {}
    index, length, share = (_number(row.get(key)) for key in ("index", "length", "progress"))
    if share is None and index is not None and length:
        share = index / length
    steps = f"{index:g}/{length:g} {row.get('unit') or ''}" if index is not None and length else ""
    text = " ".join(f"{row.get('desc') or ''} {steps}".split())
    return Report(event_id=event_id, text=text, fraction=None if share is None else min(1.0, max(0.0, share)))


def _output(body: Mapping[str, Any], event_id: str | None, *, completed: bool) -> Message:
    output = body.get("output")
    output = output if isinstance(output, Mapping) else {}
    data = output.get("data")
    data = data if isinstance(data, list) else None
    if body.get("success") is False or "error" in output:
        title = output.get("title") or body.get("title")
        error = job_error(output.get("error"), title if isinstance(title, str) else "")
        return Completed(event_id=event_id, error=error)
    if not completed:
        return Generating(event_id=event_id, data=data or ())
    if data is None:
        return Completed(event_id=event_id, error=StreamCutError("the job was cancelled at the app"))
    return Completed(event_id=event_id, data=data)


def job_error(said: object, title: str = "") -> ProviderError:
    """The error that a failed job stands for. gradio 4 quotes the text as Python does (recorded)."""
    if not isinstance(said, str) or not said.strip():
        return ServerError(
            "the app failed and does not say why",
            status=500,
            code="app-error-hidden",
            retryable=False,
            remedy="its owner sees the reason in the logs; show_error=True would show it",
        )
    text = _unquoted(said.strip())
    known = zerogpu_error(text, title)
    if known is not None:
        return known
    if _FILTERED.search(text):
        return ContentFilterError(text, code="app-filter")
    if _REFUSED.search(text):
        return InvalidRequestError(text, code="app-refused")
    return ServerError(f"the app failed: {text}", status=500, code="app-error", retryable=False)


_FILTERED = re.compile(
    r"\bNSFW\b|content (policy|filter|moderation)|inappropriate content|safety checker", re.I
)
_REFUSED = re.compile(
    r"is (less|greater) than (the )?(minimum|maximum) value|is not in the list of choices"
    r"|(Needed|needed) .{0,40} input|An event handler .* didn't receive enough input",
    re.I,
)


def _unquoted(text: str) -> str:
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    return text[1:-1].replace("\\'", "'") if quoted else text


def _broken(body: Mapping[str, Any]) -> ProviderError:
    text = str(body.get("message") or "an unexpected error, without a word")
    if body.get("session_not_found"):
        return StreamCutError(f"the app does not know the session: {text}", code="session-not-found")
    return ServerError(f"the app failed: {text}", status=500, code="unexpected-error")


def error_of(response: Response) -> ProviderError:
    """The error that an answer of status 400 and more stands for."""
    facts, text = error_facts(response), error_text(response)
    match response.status:
        case 401:
            return AuthenticationError(text, remedy=_LOGIN, **facts)
        case 403:
            return PermissionDeniedError(text, **facts)
        case 404:
            return ModelNotFoundError(f"no such route or app: {text}", **facts)
        case 413:
            return InvalidRequestError(f"the file is too large: {text}", param="image", **facts)
        case 503 if "Queue is full" in text:
            return ServerError(text, **facts | {"code": "queue-full"})
    return error_of_status(response)


_LOGIN = (
    "a private Space wants a token and its name in the setting `trusted`; an app's own login is not spoken"
)


def _number(value: object) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else None  # type: ignore[arg-type]
