"""What is asked: the prompt of the arguments and of a pipe, and attachments as message parts."""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Sequence
from typing import Any, TextIO

from plugmux.attachments import Attachment, attachment_from
from plugmux.cli.terminal import Terminal
from plugmux.errors import InvalidInputError
from plugmux.messages import Message

__all__ = ["as_utf8", "attachment_part", "piped_text", "prompt_from", "user_message"]

PATIENCE = 2.0
"""Seconds after which a silent pipe is mentioned: it may be one that nobody will ever write to."""


def prompt_from(argument: str | None, piped: str | None, terminal: Terminal) -> str:
    """The argument, then the piped text after a blank line. Raises InvalidInputError without either."""
    parts = [part.strip("\n") for part in (argument, piped) if part and part.strip()]
    if not parts:
        raise InvalidInputError("nothing to ask: give a prompt, or pipe it in", field="PROMPT")
    return as_utf8("\n\n".join(parts), "the prompt", terminal)


def as_utf8(text: str, what: str, terminal: Terminal) -> str:
    """`text`, with U+FFFD for each byte that is no UTF-8 and came as a lone surrogate, and a note on it.

    A diff of an old file is worth asking about all the same. With a NUL besides it is no text at all:
    raises InvalidInputError.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        if "\0" in text:
            raise InvalidInputError("not text in UTF-8", field=what) from error
        given = text.encode("utf-8", "surrogateescape")
        text = given.decode("utf-8", "replace")
        if text.encode() != given:  # it is UTF-8 if only the locale is not
            terminal.note(f"note: {what} is not all UTF-8; what is not goes as \ufffd", "yellow")
    return text


def piped_text(stdin: TextIO, terminal: Terminal, *, wanted: bool, patience: float = PATIENCE) -> str | None:
    """What is piped in, or None.

    A terminal or a device is not read. `wanted` says that there is no other prompt; else a pipe that is
    silent for `patience` seconds is mentioned.
    """
    if not is_piped(stdin):
        return None
    if not wanted and not _has_begun(stdin, patience):
        terminal.note("waiting for standard input, which is open; end it with `< /dev/null` if it has none")
    return stdin.read()


def is_piped(stdin: TextIO) -> bool:
    """Whether `stdin` is a pipe, a socket or a file."""
    try:
        mode = os.fstat(stdin.fileno()).st_mode
    except (OSError, ValueError):
        return not stdin.isatty()
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)


def _has_begun(stdin: TextIO, patience: float) -> bool:
    try:
        ready, _, _ = select.select([stdin], [], [], patience)
    except (OSError, ValueError):
        return True  # nothing that can be waited for
    return bool(ready)


def user_message(prompt: str, attachments: Sequence[str]) -> Message:
    """One message of the user. Raises InvalidInputError for an attachment that cannot be read."""
    if not attachments:
        return Message(role="user", content=prompt)
    parts = [attachment_part(given) for given in attachments]
    return Message(role="user", content=(*parts, {"type": "text", "text": prompt}))


def attachment_part(given: str) -> dict[str, Any]:
    """A message part of a path or a URL, in OpenAI's shape (`video_url`, `audio_url`: vLLM's)."""
    attachment = attachment_from(given, field="-a")
    kind = _kind_of(attachment)
    if kind == "audio" and attachment.data is not None:
        return {"type": "input_audio", "input_audio": _sound(attachment)}
    return {"type": f"{kind}_url", f"{kind}_url": {"url": attachment.data_url}}


def _sound(attachment: Attachment) -> dict[str, str]:
    label, _, body = attachment.data_url.partition(",")
    subtype = label.removeprefix("data:audio/").partition(";")[0]
    return {"data": body, "format": {"mpeg": "mp3", "x-wav": "wav", "mp4": "m4a"}.get(subtype, subtype)}


def _kind_of(attachment: Attachment) -> str:
    mime_type = attachment.mime_type
    if attachment.data is None:
        import mimetypes

        # A URL without a telling name is taken for a picture: what attachments mostly are.
        mime_type = mimetypes.guess_type(attachment.name)[0] or "image/unknown"
    kind = mime_type.partition("/")[0]
    if kind not in ("image", "audio", "video"):
        raise InvalidInputError(
            f"{attachment.name} is {mime_type}: only pictures, sounds and films can be attached"
            " (text can be piped in)",
            field="-a",
        )
    return kind
