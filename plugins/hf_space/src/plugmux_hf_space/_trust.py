"""Who may see the Hub token: the Hub, and the Spaces that the user trusts, where the Hub says they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from plugmux.credentials import Credential
from plugmux.errors import InvalidInputError, PermissionDeniedError, ProviderError
from plugmux.http import Http
from plugmux.huggingface.endpoints import Endpoints
from plugmux.huggingface.tokens import Token, find_token
from plugmux_hf_space._settings import SpaceSettings
from plugmux_hf_space._zerogpu import ACCOUNT

if TYPE_CHECKING:
    from plugmux.session import Session

__all__ = ["PRIVATE", "credential_of", "locked_out", "towards_the_hub"]

PRIVATE = "private"
"""In `Model.extra`: the Hub says that the Space is private, so it answers to a token only."""


def credential_of(session: Session, challenge: ProviderError | None = None) -> Credential | None:
    """The credential for one model, or (without a model) for questions to the Hub.

    An app's own code can read an `authorization` header. The Hub's clients send `x-hf-authorization`
    instead, which its edge is made for (by their source); so does this, and only to an address that the
    Hub named (`hub_host` of the model) of a Space in the setting `trusted`. Everybody else gets nothing.
    """
    if challenge is not None:
        return None
    token = find_token(session.token, session.settings, session.environ)
    if token is None:
        return None
    if session.model is None:
        return _for_the_hub(session, token)
    facts = session.model.extra
    host, space = facts.get("hub_host"), facts.get("space")
    if not host or not SpaceSettings.load(session.settings).trusts(space):
        return None
    return _made("x-hf-authorization", token, host)


def towards_the_hub(session: Session) -> Session:
    """The session to ask the Hub with: of a private Space it tells only those who show their token."""
    token = find_token(session.token, session.settings, session.environ)
    if token is None or session.model is None or PRIVATE not in session.model.extra:
        return session
    return evolve(session, http=Http(session.transport, session.watch, _for_the_hub(session, token)))


def _for_the_hub(session: Session, token: Token) -> Credential:
    hub = Endpoints.load(session.settings, session.environ).hub
    return _made("Authorization", token, hub)


def locked_out(session: Session, error: ProviderError) -> PermissionDeniedError | None:
    """Why the model's app does not answer, if that is because it is private and may not see the token."""
    model = session.model
    if model is None or PRIVATE not in model.extra or session.credential is not None:
        return None
    if error.code != "unavailable" and error.status not in (401, 403):
        return None
    space = model.extra.get("space")
    return PermissionDeniedError(
        f"{space} is private, and your token is not sent to it",
        code="private",
        remedy=f"if you trust its code, name {space} in the setting trusted of {session.provider}",
    )


def _made(header: str, token: Token, origin: str) -> Credential:
    try:
        return Credential(
            headers={header: f"Bearer {token.value}"}, origins=[origin], source=token.source, account=ACCOUNT
        )
    except InvalidInputError as error:
        raise InvalidInputError(
            f"the token from {token.source} has characters that no token has", field="token"
        ) from error
