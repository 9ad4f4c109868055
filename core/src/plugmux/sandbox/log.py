"""What the sandbox remembers of each request: everything but the secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import define

__all__ = ["SeenRequest", "seen"]

BLOT = "[secret]"
_SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization", "x-api-key"})
_TOKEN = re.compile(r"hf_[A-Za-z0-9]{6,}")


@define(kw_only=True)
class SeenRequest:
    """A request that came in.

    The values of secret headers are replaced, here and wherever body or path quote them. `status` is the
    answer's, None while there is none; `left` says that the client went away before the answer's end;
    `error` is what a plugin's route failed with.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""
    status: int | None = None
    left: bool = False
    error: str | None = None

    def json(self) -> Any:
        """The body as JSON. Raises ValueError."""
        return json.loads(self.body)


def seen(method: str, target: str, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> SeenRequest:
    """A `SeenRequest` without secrets. Header names are in lower case."""
    given = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in headers]
    secrets = sorted(_secrets_of(given), key=len, reverse=True)
    kept = {k: BLOT if k in _SECRET_HEADERS else _conceal(v, secrets) for k, v in given}
    text = _conceal(body.decode("utf-8", "surrogateescape"), secrets)
    return SeenRequest(
        method=method,
        path=_conceal(target, secrets),
        headers=kept,
        body=text.encode("utf-8", "surrogateescape"),
    )


def _secrets_of(headers: Iterable[tuple[str, str]]) -> set[str]:
    values = [value for name, value in headers if name in _SECRET_HEADERS]
    parts = {part for value in values for part in (value, value.partition(" ")[2], value.partition("=")[2])}
    return {part for part in parts if len(part) >= 6}


def _conceal(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, BLOT)
    return _TOKEN.sub(BLOT, text)
