"""From a request to the bytes a provider is sent. Pure; base64 of a large file takes its time, so the
caller runs `encode` in a worker thread."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from attrs import frozen

from plugmux.attachments import Attachment
from plugmux.errors import InvalidRequestError, Scope
from plugmux_hf_media._large import base64_of, spliced
from plugmux_hf_media._routes import Form, Route, Slot, Wanted
from plugmux_hf_media._sizes import SHAPE_OPTIONS, shape_of

__all__ = ["Submission", "encode", "options_of"]


@frozen(kw_only=True)
class Submission:
    """What is posted: `path` below the provider's address, `ignored` the options that it cannot say."""

    path: str
    headers: Mapping[str, str]
    content: bytes
    ignored: tuple[str, ...] = ()


def encode(route: Route, wanted: Wanted) -> Submission:
    """The request to post. Raises InvalidRequestError where the input of the task is missing."""
    _check_inputs(route, wanted)
    if route.shared is not None:
        return _shared(route, wanted)
    fields, ignored = _fields(route, wanted)
    mark = uuid.uuid4().hex
    body = _body(route, wanted, fields, mark)
    match route.form:
        case Form.MULTIPART:
            content, kind = _multipart(_attached(wanted), body)
        case Form.BINARY if not _says_more(body, wanted):
            attachment = _attached(wanted)
            content, kind = attachment.data or b"", attachment.mime_type
        case _:
            content, kind = spliced(body, mark, _base64(wanted)), "application/json"
    path, headers = _path(route, wanted.remote_id), _headers(route, wanted, kind)
    return Submission(path=path, headers=headers, content=content, ignored=ignored)


def options_of(route: Route) -> frozenset[str]:
    """Names of the request options that the route takes."""
    sized = {"width", "height", "aspect_ratio"} if route.size else set()
    film = route.size is not None and "video" in route.task.value
    reads = {route.reads} if route.reads else set()
    return frozenset(route.takes) | sized | ({"resolution"} if film else set()) | reads


def _check_inputs(route: Route, wanted: Wanted) -> None:
    if route.reads is not None and wanted.attachment is None:
        message = f"{route.task.value} needs {route.reads}="
        raise InvalidRequestError(message, param=route.reads, scope=Scope.REQUEST)
    if wanted.attachment is not None and not _fits(route, wanted.attachment):
        message = f"{wanted.attachment.name} is {wanted.attachment.mime_type}, not {route.reads}"
        raise InvalidRequestError(message, param=route.reads, scope=Scope.REQUEST)
    if route.reads is None and not wanted.prompt.strip():
        message = f"{route.task.value} needs a prompt"
        raise InvalidRequestError(message, param="messages", scope=Scope.REQUEST)


def _fits(route: Route, attachment: Attachment) -> bool:
    """Whether it may be what the task reads. A film has sound; `application/…` says nothing."""
    family = attachment.mime_type.partition("/")[0]
    other = {"text", "image"} if route.reads == "audio" else {"text", "audio", "video"}
    return family not in other


def _shared(route: Route, wanted: Wanted) -> Submission:
    assert route.shared is not None
    request = route.shared(wanted.remote_id, wanted.prompt, wanted.options)
    body = _merged(request.body, wanted.options.extra_body or {})
    headers = {"Content-Type": "application/json", **request.headers, **(wanted.options.extra_headers or {})}
    return Submission(
        path=_path(route, wanted.remote_id),
        headers=headers,
        content=json.dumps(body, ensure_ascii=False).encode(),
        ignored=request.ignored,
    )


def _path(route: Route, remote_id: str) -> str:
    template = route.versioned if route.versioned and ":" in remote_id else route.path
    return template.replace("{model}", quote(remote_id, safe="/:@"))


def _headers(route: Route, wanted: Wanted, kind: str) -> dict[str, str]:
    return {"Content-Type": kind, **route.headers, **(wanted.options.extra_headers or {})}


def _fields(route: Route, wanted: Wanted) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The options as the provider says them, and those that it cannot."""
    given = {name: value for name, value in wanted.options.given().items() if name != route.reads}
    fields: dict[str, Any] = {}
    if route.size is not None:
        shape = shape_of(given, route.task, frozenset(route.takes))
        fields |= route.size(*shape.size) if shape.size else {}
        given = {name: value for name, value in given.items() if name not in shape.said_by}
    if not any(name in wanted.options.given() for name in SHAPE_OPTIONS):
        fields |= route.standard
    ignored = []
    for name, value in given.items():
        take = route.takes.get(name)
        if take is None:
            ignored.append(name)
        else:
            fields |= {take: value} if isinstance(take, str) else take(value)
    return fields, tuple(ignored)


def _body(route: Route, wanted: Wanted, fields: Mapping[str, Any], mark: str) -> dict[str, Any]:
    """The body, with `mark` where the base64 of the picture or sound belongs."""
    body: dict[str, Any] = _filled(route.body, route, wanted, mark)
    if fields:
        body = _merged(body, {route.under: fields} if route.under else fields)
    if wanted.weights is not None and route.lora is not None:
        body = _merged(body, route.lora(wanted))
    return _merged(body, wanted.options.extra_body or {})


_LEFT_OUT = object()


def _filled(template: Any, route: Route, wanted: Wanted, mark: str) -> Any:
    """The template with its slots filled; a field whose slot has nothing is left out."""
    match template:
        case Slot():
            return _value(template, route, wanted, mark)
        case Mapping():
            filled = {key: _filled(value, route, wanted, mark) for key, value in template.items()}
            return {key: value for key, value in filled.items() if value is not _LEFT_OUT}
        case list():
            return [_filled(value, route, wanted, mark) for value in template]
    return template


def _value(slot: Slot, route: Route, wanted: Wanted, mark: str) -> Any:
    match slot:
        case Slot.PROMPT:
            return wanted.prompt
        case Slot.PROMPT_IF_ANY:
            return wanted.prompt or _LEFT_OUT
        case Slot.MODEL:
            return wanted.remote_id
        case Slot.VERSION:
            return wanted.remote_id.partition(":")[2] or _LEFT_OUT
        case Slot.MEDIA:
            return _url(route, _attached(wanted), mark)
        case Slot.BASE64:
            return mark


def _attached(wanted: Wanted) -> Attachment:
    assert wanted.attachment is not None  # `_check_inputs` has seen to it
    return wanted.attachment


def _url(route: Route, attachment: Attachment, mark: str) -> str:
    if attachment.data is None:
        return attachment.url or ""
    label = route.relabel.get(attachment.mime_type, route.relabel.get("", attachment.mime_type))
    return f"data:{label};base64,{mark}"


def _base64(wanted: Wanted) -> list[bytes]:
    return base64_of(wanted.attachment.data or b"") if wanted.attachment else []


def _says_more(body: Mapping[str, Any], wanted: Wanted) -> bool:
    """Whether there is more to say than the bytes of the attachment."""
    return bool(body.get("parameters") or wanted.options.extra_body)


def _multipart(attachment: Attachment, fields: Mapping[str, Any]) -> tuple[bytes, str]:
    """The form's bytes and content type: the file first, the model last."""
    boundary = uuid.uuid4().hex
    ordered = {name: value for name, value in fields.items() if name != "model"}
    ordered["model"] = fields["model"]
    name, kind = _file_name(attachment), attachment.mime_type
    parts = [_part(boundary, f'name="file"; filename="{name}"', attachment.data or b"", kind)]
    parts += [_part(boundary, f'name="{key}"', _form_value(value)) for key, value in ordered.items()]
    return b"".join((*parts, f"--{boundary}--\r\n".encode())), f"multipart/form-data; boundary={boundary}"


def _part(boundary: str, disposition: str, content: bytes, kind: str | None = None) -> bytes:
    label = f"\r\nContent-Type: {kind}" if kind else ""
    head = f"--{boundary}\r\nContent-Disposition: form-data; {disposition}{label}\r\n\r\n"
    return b"".join((head.encode(), content, b"\r\n"))


def _form_value(value: object) -> bytes:
    return (value if isinstance(value, str) else json.dumps(value)).encode()


_ENDINGS = {
    "audio/aac": ".aac",
    "audio/aiff": ".aiff",
    "audio/flac": ".flac",
    "audio/mp4": ".m4a",
    "audio/mpeg": ".mp3",
    "audio/ogg": ".ogg",
    "audio/opus": ".opus",
    "audio/webm": ".webm",
    "audio/x-aac": ".aac",
    "audio/x-aiff": ".aiff",
    "audio/x-flac": ".flac",
    "audio/x-m4a": ".m4a",
    "video/mp4": ".mp4",
    "video/quicktime": ".mov",
    "video/webm": ".webm",
}


def _file_name(attachment: Attachment) -> str:
    """Transcribers go by the ending. The caller's own name is not theirs to know."""
    return f"audio{_ENDINGS.get(attachment.mime_type, '.wav')}"


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """`other` over `one`, object into object."""
    both = dict(one)
    for key, value in other.items():
        mine = both.get(key)
        inner = isinstance(mine, Mapping) and isinstance(value, Mapping)
        both[key] = _merged(mine, value) if inner else value  # type: ignore[arg-type]
    return both
