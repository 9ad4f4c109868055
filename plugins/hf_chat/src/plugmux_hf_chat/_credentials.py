"""Where the login comes from: cookies given, a file in the settings folder, a browser when asked, or none."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import attrs
from attrs import define, field

from plugmux.credentials import Credential
from plugmux.errors import AuthenticationError, ConfigurationError, InvalidInputError, ProviderError
from plugmux.session import Session
from plugmux_hf_chat._browsers import browser_cookies
from plugmux_hf_chat._cookies import Cookie, cookie_header, cookies_of, for_url
from plugmux_hf_chat._errors import LOGIN_REMEDY
from plugmux_hf_chat._site import is_hosted

__all__ = ["FOLDER", "credential_of", "find_credential"]

FOLDER = "har_and_cookies"
KINDS = (".har", ".json", ".txt", ".cookies")
SESSION_COOKIE = "hf-chat"
HOSTED_DOMAIN = "huggingface.co"


@define
class _Handed:
    """The fingerprint last handed out: after a refusal the same one is no better."""

    fingerprint: str | None = None
    aclosed: bool = field(default=False, repr=False)

    async def aclose(self) -> None:
        self.aclosed = True


async def find_credential(
    session: Session, base_url: str, challenge: ProviderError | None
) -> Credential | None:
    """The login for `base_url`, or None. After a refusal: only one that was not refused.

    Raises AuthenticationError for an expired or incomplete one, ConfigurationError for a damaged file.
    """

    async def make() -> _Handed:
        return _Handed()

    handed = await session.resource("handed", make)
    found = await anyio.to_thread.run_sync(_find, session, base_url)
    if found is not None and challenge is not None and found.fingerprint == handed.fingerprint:
        return None
    handed.fingerprint = found.fingerprint if found else None
    return found


def _find(session: Session, base_url: str) -> Credential | None:
    """The first place that has a good session for this server; a bad one counts if there is no good one."""
    bad: AuthenticationError | None = None
    for source, cookies in _places(session):
        try:
            credential = credential_of(cookies, base_url, source=source, now=time.time(), session=session)
        except AuthenticationError as error:
            bad = bad or error
            continue
        if credential is not None:
            return credential
    if bad is not None:
        raise bad
    return None


def credential_of(
    cookies: list[Cookie], base_url: str, *, source: str, now: float, session: Session | None = None
) -> Credential | None:
    """The credential that these cookies make for `base_url`; None if they hold no session for it.

    Raises AuthenticationError if the session has expired or, on the hosted site, the Hub's own cookie
    `token` is missing: without it the site takes the session for nobody's.
    """
    fitting = for_url(cookies, base_url)
    own = fitting.get(SESSION_COOKIE)
    if own is None:
        return None
    alive = {name: c for name, c in fitting.items() if c is own or c.expires is None or c.expires > now}
    if is_hosted(base_url) and "token" not in alive:
        raise AuthenticationError(
            f"{source} holds hf-chat without huggingface.co's cookie token: both are needed",
            remedy=LOGIN_REMEDY,
        )
    credential = Credential(
        headers={"Cookie": cookie_header(alive.values())}, origins=[base_url], source=source
    )
    if own.expires is None:
        return credential
    end = max(own.expires, _renewed(session, credential))
    if end <= now:
        raise AuthenticationError(f"the login from {source} has expired", remedy=LOGIN_REMEDY)
    return attrs.evolve(credential, expires_at=end)


def _renewed(session: Session | None, credential: Credential) -> float:
    """When the server last said that this session ends: each accepted message prolongs it."""
    kept = session.cache.get(f"renewed {credential.fingerprint}") if session else None
    return float(kept) if isinstance(kept, int | float) else 0.0


def _places(session: Session) -> Iterator[tuple[str, list[Cookie]]]:
    """Where cookies may be, in the order in which they count.

    What does not say which site it is from, and was not given for this very provider, is taken for
    HuggingChat's: no other server may see it.
    """
    settings = session.settings
    if session.token and "=" in session.token:  # a Hub token is none of ours
        given = cookies_of(session.token)
        yield "token=", given if settings.get("base_url") else _of_the_hosted_site(given)
    if settings.get("cookies"):
        yield "the setting cookies", _given(str(settings["cookies"]))
    for file in _cookie_files(session.home / FOLDER):
        yield str(file), _of_the_hosted_site(_read(file))
    if settings.get("browser"):
        browser = str(settings["browser"])
        home = Path(session.environ.get("HOME") or Path.home())
        yield f"the browser {browser}", browser_cookies(browser, home=home)


def _of_the_hosted_site(cookies: list[Cookie]) -> list[Cookie]:
    return [cookie if cookie.domain else attrs.evolve(cookie, domain=HOSTED_DOMAIN) for cookie in cookies]


def _given(value: str) -> list[Cookie]:
    """The setting: cookies as such, or the path of a file with them."""
    path = Path(value).expanduser()
    if _is_file(path):
        return _read(path)
    if "=" in value:
        return cookies_of(value)
    if path.suffix.lower() not in KINDS:  # it may be a cookie's value, which no error shows
        raise ConfigurationError("cookies: neither name=value pairs nor a file that can be read")
    raise ConfigurationError(f"cookies: there is no file {path}")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # too long for a name
        return False


def _cookie_files(folder: Path) -> list[Path]:
    """The files, the newest first."""
    if not folder.is_dir():
        return []
    files = [path for path in folder.iterdir() if path.suffix.lower() in KINDS and path.is_file()]
    return sorted(files, key=lambda path: path.stat().st_mtime, reverse=True)


def _read(path: Path) -> list[Cookie]:
    try:
        return cookies_of(path.read_text("utf-8", "replace"))
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from error
    except (ConfigurationError, InvalidInputError) as error:
        raise ConfigurationError(f"{path}: {error}") from error
