"""The Hub token: where it is found, and the credential it makes.

In this order: the caller's `token=`, the provider's setting `api_key` or `token`, `HF_TOKEN`,
`HUGGING_FACE_HUB_TOKEN`, the file that `HF_TOKEN_PATH` names or `$HF_HOME/token`, and
`HUGGINGFACE_API_KEY`, which other programs use. `HF_HUB_DISABLE_IMPLICIT_TOKEN` leaves only the first two.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from plugmux.credentials import Credential
from plugmux.errors import InvalidInputError
from plugmux.huggingface.endpoints import Endpoints
from plugmux.huggingface.upstreams import ACCOUNT
from plugmux.value import Value

if TYPE_CHECKING:
    from plugmux.errors import ProviderError
    from plugmux.session import Session

__all__ = ["ACCOUNT", "Token", "credential_of", "find_token", "token_path"]

_YES = frozenset({"1", "true", "yes", "on"})


@frozen(kw_only=True, eq=False, repr=False)
class Token(Value):
    """A token and where it was found, in words."""

    value: str = field(repr=False)
    source: str


def find_token(
    given: str | None = None,
    settings: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Token | None:
    """The token to use, or None. Reads one small file at most."""
    named = ((name, _text((settings or {}).get(name))) for name in ("api_key", "token"))
    explicit = _first([("token=", given), *((f"the setting {name}", value) for name, value in named)])
    if explicit or environ.get("HF_HUB_DISABLE_IMPLICIT_TOKEN", "").strip().lower() in _YES:
        return explicit
    return (
        _first((name, environ.get(name)) for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"))
        or _from_file(token_path(environ))
        or _first([("HUGGINGFACE_API_KEY", environ.get("HUGGINGFACE_API_KEY"))])
    )


def token_path(environ: Mapping[str, str] = os.environ) -> Path:
    """The file in which `hf auth login` keeps the token."""
    if path := environ.get("HF_TOKEN_PATH"):
        return Path(path).expanduser()
    cache = environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = environ.get("HF_HOME") or f"{cache}/huggingface"
    return Path(home).expanduser() / "token"


def credential_of(session: Session, challenge: ProviderError | None = None) -> Credential | None:
    """The credential for the Hub and the router: the `authenticate` hook of every Hub plugin.

    With a `challenge` (a 401) it looks again, since a token file may have been renewed, and gives None
    if it finds what was refused. It goes to the Hub's and the router's origins and nowhere else.
    """
    token = find_token(session.token, session.settings, session.environ)
    if token is None:
        return None
    credential = _credential(token, Endpoints.load(session.settings, session.environ))
    refused = session.credential
    if challenge is not None and (refused is None or refused.fingerprint == credential.fingerprint):
        return None
    return credential


def _credential(token: Token, endpoints: Endpoints) -> Credential:
    try:
        return Credential.bearer(token.value, origins=endpoints.origins, source=token.source, account=ACCOUNT)
    except InvalidInputError as error:
        raise InvalidInputError(
            f"the token from {token.source} has characters that no token has", field="token"
        ) from error


def _first(places: Any) -> Token | None:
    for source, value in places:
        if value and value.strip():
            return Token(value=value.strip(), source=source)
    return None


def _from_file(path: Path) -> Token | None:
    try:
        return _first([(str(path), path.read_text("utf-8"))])
    except (OSError, UnicodeDecodeError):
        return None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
