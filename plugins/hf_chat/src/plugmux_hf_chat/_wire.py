"""chat-ui's HTTP API, pure: requests out of values, models out of answers.

Written from the running server of August 2026 (seen in recorded traffic) and, for older servers, from
documents. Paths are relative to the base (`https://huggingface.co/chat`).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from attrs import field, frozen

from plugmux.attachments import Attachment
from plugmux.errors import InvalidRequestError, MalformedResponseError
from plugmux.messages import Message
from plugmux.model import Auth, Capability, Model, Task
from plugmux_hf_chat._conversation import unwrap

__all__ = [
    "BASE_URL",
    "IMAGE_TOOL",
    "TAKEN",
    "Prompt",
    "bytes_of",
    "creation",
    "message_data",
    "models_of",
    "multipart",
    "origin_header",
    "prompt_of",
    "search_servers",
    "settings_with_effort",
    "transcript",
]

BASE_URL = "https://huggingface.co/chat"
IMAGE_TOOL = "000000000000000000000001"
"""The image generator of servers from before September 2025; later ones ignore it."""
MAX_FILE = 10 * 1024 * 1024
"""Bytes a file may have: the server's own limit."""
TAKEN = frozenset({"web_search", "reasoning_effort", "image"})
"""The options that a chat-ui server can take."""


def origin_header(base_url: str) -> str:
    """The `Origin` that the server's check against foreign forms wants to see."""
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{parts.netloc}"


# Requests


def creation(model: str, preprompt: str | None) -> dict[str, Any]:
    """The body of `POST /conversation`."""
    return {"model": model} | ({"preprompt": preprompt} if preprompt else {})


@frozen(kw_only=True)
class Prompt:
    """What is sent of a list of messages: the system prompt, one text, the pictures, what is left out."""

    preprompt: str | None = None
    inputs: str = ""
    attachments: tuple[Attachment, ...] = field(default=(), repr=False)
    ignored: tuple[str, ...] = ()


def prompt_of(messages: Sequence[Message], image: Attachment | None = None) -> Prompt:
    """Messages as chat-ui takes them: the system prompt apart, a single user message as it is, and
    anything longer as a transcript, because one turn has one text."""
    system = [message.text for message in messages if message.role in ("system", "developer")]
    rest = [message for message in messages if message.role not in ("system", "developer")]
    attachments, ignored = _attachments(rest)
    alone = len(rest) == 1 and rest[0].role == "user"
    return Prompt(
        preprompt="\n\n".join(filter(None, dict.fromkeys(system))) or None,
        # An empty text is refused with a 500; a blank is the smallest that is not.
        inputs=(rest[0].text if alone else transcript(rest)) or " ",
        attachments=(*attachments, *((image,) if image else ())),
        ignored=ignored,
    )


def transcript(messages: Sequence[Message], *, continue_final: bool = False) -> str:
    """Several messages as one text, for a service that takes one."""
    turns = [f"{_SPEAKERS.get(message.role, message.role)}: {message.text}" for message in messages]
    if not turns:
        return ""
    if continue_final:
        return "\n\n".join(turns)
    lead = "This is our conversation so far. Answer my last message.\n\n" if len(turns) > 1 else ""
    return lead + "\n\n".join(turns)


_SPEAKERS = {"user": "User", "assistant": "Assistant", "tool": "Tool result", "system": "System"}


def _attachments(messages: Iterable[Message]) -> tuple[list[Attachment], tuple[str, ...]]:
    found: list[Attachment] = []
    ignored: dict[str, None] = {}
    for part in (part for message in messages for part in _parts(message)):
        match part:
            case {"type": "text"}:
                continue
            case {"type": "image_url", "image_url": {"url": str() as url}}:
                found.append(_attachment_of(url))
            case {"type": kind}:
                ignored[str(kind)] = None
    return found, tuple(ignored)


def _parts(message: Message) -> Sequence[Mapping[str, Any]]:
    return message.content if isinstance(message.content, tuple) else ()


def _attachment_of(url: str) -> Attachment:
    if not url.startswith("data:"):
        return Attachment(name=url.rsplit("/", 1)[-1].split("?")[0] or "image", url=url)
    label, _, body = url.partition(",")
    mime_type = label[5:].split(";")[0] or "application/octet-stream"
    try:
        data = base64.b64decode(body, validate=True)
    except ValueError as error:
        raise InvalidRequestError("an image's data URL is not base64", param="messages") from error
    return Attachment(name=f"image.{mime_type.rpartition('/')[2]}", mime_type=mime_type, data=data)


def message_data(
    *,
    parent: str,
    generation: str,
    inputs: str | None = None,
    retry: bool = False,
    servers: Sequence[str] = (),
    web_search: bool | None = None,
    tools: Sequence[str] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The `data` part of a message. A server strips the keys that it does not know.

    `selectedMcpServerNames` always goes along: without it the server offers all its tools. The caller's own
    servers (`selectedMcpServers` of `extra`) count only if it names them, too. `web_search` and `tools` are
    for servers from before September 2025. `retry` with `inputs` edits a question (the
    parent is then the user message), without it asks for another answer (the parent is the old one).
    """
    data: dict[str, Any] = {"id": parent, "generationId": generation}
    data |= {"inputs": inputs} if inputs is not None else {}
    data |= {"is_retry": True} if retry else {}
    data["selectedMcpServerNames"] = [*servers, *_names_of((extra or {}).get("selectedMcpServers"))]
    data |= {"web_search": web_search} if web_search is not None else {}
    data |= {"tools": list(tools)} if tools is not None else {}
    return data | dict(extra or {})


def _names_of(servers: object) -> list[str]:
    """The names of tool servers that the caller gives as `{"name": …, "url": …}`."""
    given = servers if isinstance(servers, list | tuple) else ()
    names = (server.get("name") for server in given if isinstance(server, Mapping))
    return [name for name in names if isinstance(name, str)]


def multipart(data: Mapping[str, Any], files: Sequence[Attachment], *, boundary: str) -> tuple[str, bytes]:
    """Content type and body of a message. A file's name carries the prefix `base64;`, its content is
    base64 text. Raises InvalidRequestError for a file above the server's limit."""
    pieces: list[bytes] = []
    for file in files:
        label = f'name="files"; filename="base64;{_quoted(file.name)}"'
        pieces += [_head(boundary, label, file.mime_type), base64.b64encode(bytes_of(file)), b"\r\n"]
    pieces += [
        _head(boundary, 'name="data"'),
        json.dumps(data).encode(),
        b"\r\n",
        f"--{boundary}--\r\n".encode(),
    ]
    return f"multipart/form-data; boundary={boundary}", b"".join(pieces)


def _head(boundary: str, disposition: str, mime_type: str | None = None) -> bytes:
    kind = f"Content-Type: {mime_type}\r\n" if mime_type else ""
    return f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n{kind}\r\n".encode()


def _quoted(name: str) -> str:
    """A file's name as browsers write it into a form."""
    plain = "".join(letter for letter in name if letter.isprintable()) or "file"
    return plain.replace("\\", "_").replace('"', "%22")


def bytes_of(file: Attachment) -> bytes:
    """A file's bytes. Raises InvalidRequestError above the server's limit."""
    if file.data is None:
        raise InvalidRequestError("the picture has not been fetched", param="image")
    if len(file.data) > MAX_FILE:
        size = f"{len(file.data):,} bytes"
        raise InvalidRequestError(f"{file.name!r} has {size}, the server takes up to 10 MB", param="image")
    return file.data


def search_servers(body: Any) -> list[str]:
    """The names of the tool servers that search the web, out of `GET /api/mcp/servers`."""
    items = unwrap(body)
    found = items if isinstance(items, list) else ()
    names = [item.get("name") for item in found if isinstance(item, Mapping)]
    return [name for name in names if isinstance(name, str) and "search" in name.lower()]


def settings_with_effort(settings: Any, model: str, effort: str) -> dict[str, Any] | None:
    """The body that sets the effort for one model, or None if it is set so already.

    The route replaces all settings, so the others go along; nulls stand for the server's defaults. Raises
    MalformedResponseError for what are no settings.
    """
    plain = unwrap(settings) or {}
    if not isinstance(plain, Mapping):
        raise MalformedResponseError("the settings are no object")
    known = {name: value for name, value in plain.items() if value is not None}
    efforts = dict(known.get("reasoningEffortOverrides") or {})
    wanted = dict(known.get("reasoningOverrides") or {})
    if efforts.get(model) == effort and wanted.get(model) is True:
        return None
    efforts[model], wanted[model] = effort, True
    return known | {"reasoningEffortOverrides": efforts, "reasoningOverrides": wanted}


# Models


def models_of(body: Any, *, auth: Auth, account: str | None = None) -> list[Model]:
    """Models out of `/api/v2/models` or the older `/api/models`. Raises MalformedResponseError."""
    items = unwrap(body)
    if not isinstance(items, list):
        raise MalformedResponseError("the list of models is not a list")
    usable = [item for item in items if isinstance(item, Mapping) and _usable(item)]
    first = next((item["id"] for item in usable if item.get("isRouter")), None)
    first = first or (usable[0]["id"] if usable else None)
    return [_model(item, auth, account, default=item["id"] == first) for item in usable]


def _usable(item: Mapping[str, Any]) -> bool:
    return isinstance(item.get("id"), str) and bool(item["id"]) and item.get("unlisted") is not True


def _model(item: Mapping[str, Any], auth: Auth, account: str | None, *, default: bool) -> Model:
    told: dict[str, Any] = {
        Capability.VISION: item.get("multimodal"),
        Capability.TOOLS: item.get("supportsTools", item.get("tools")),
        Capability.WEB_SEARCH: item.get("supportsTools"),
        Capability.REASONING: item.get("supportsReasoning") or None,
    }
    capabilities: dict[str, bool] = {
        name: answer for name, answer in told.items() if isinstance(answer, bool)
    }
    sees = capabilities.get(Capability.VISION, False)
    inputs: set[str] = {"image"} if sees else set()
    # Servers with the flag `tools` are those that still have the image tool.
    draws = item.get("tools") is True
    return Model(
        id=item["id"],
        tasks=(
            Task.CONVERSATIONAL,
            *((Task.IMAGE_TEXT_TO_TEXT,) if sees else ()),
            *((Task.TEXT_TO_IMAGE,) if draws else ()),
        ),
        inputs=inputs,
        options=TAKEN - _vain(item, sees=sees, hosted=account is not None),
        capabilities={**capabilities, Capability.PREFILL: False},
        auth=auth,
        account=account,
        default=default,
    )


def _vain(item: Mapping[str, Any], *, sees: bool, hosted: bool) -> set[str]:
    """The options that do nothing for a model. Effort can be forced upon one that does not support it, but
    not on the hosted site."""
    does = {
        "image": sees,
        "web_search": item.get("supportsTools") is not False,
        "reasoning_effort": item.get("supportsReasoning") is not False or not hosted,
    }
    return {name for name, something in does.items() if not something}
