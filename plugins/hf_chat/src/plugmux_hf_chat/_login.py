"""Login in a real browser: an installed Chrome or Chromium with a profile of its own.

The person logs in; the cookies are taken once the server knows the user. The browser runs in a worker
thread, on asyncio as on trio, with its own sandbox on unless we are root, where it would not start.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
from attrs import field, frozen

from plugmux.cache import write_private
from plugmux.credentials import Credential
from plugmux.errors import AuthenticationError, ConfigurationError
from plugmux.session import Session
from plugmux_hf_chat._browsers import installed_chromium
from plugmux_hf_chat._cookies import Cookie, for_url
from plugmux_hf_chat._credentials import FOLDER, credential_of
from plugmux_hf_chat._site import is_hosted

__all__ = ["log_in", "log_out"]

PROFILE = "browser-profile"
PATIENCE_SECONDS = 600.0
LOOK_SECONDS = 0.5


@frozen(kw_only=True)
class _Visit:
    """What the thread needs to know."""

    base_url: str
    program: str
    profile: Path
    headless: bool
    until: float
    gone: threading.Event = field(factory=threading.Event)


async def log_in(
    session: Session,
    base_url: str,
    echo: Callable[[str], Any],
    *,
    headless: bool = False,
    seconds: float = PATIENCE_SECONDS,
) -> Credential:
    """Open a browser, wait for the person to log in, keep the cookies (0600) and return them.

    Raises ConfigurationError if no browser can be opened, AuthenticationError if nobody logged in.
    """
    if not headless:
        _demand_display(session.environ)
    home = session.home
    path = session.settings.get("browser_path")
    visit = _Visit(
        base_url=base_url,
        program=installed_chromium(str(path) if path else None),
        profile=home / PROFILE,
        headless=headless,
        until=time.monotonic() + seconds,
    )
    echo(f"A browser window opens at {base_url}: log in there, this goes on by itself.")
    try:
        cookies = await anyio.to_thread.run_sync(_visit, visit, abandon_on_cancel=True)
    finally:
        visit.gone.set()
    file = _file(home, base_url)
    credential = credential_of(cookies, base_url, source=str(file), now=time.time())
    if credential is None:
        raise AuthenticationError("the browser has no session for the site")
    await anyio.to_thread.run_sync(write_private, file, _export(for_url(cookies, base_url)))
    echo(f"Logged in; the cookies are kept in {file}.")
    return credential


async def log_out(session: Session, base_url: str) -> bool:
    """Forget the cookies that `log_in` kept, and the browser's profile. Whether there were any."""
    return await anyio.to_thread.run_sync(_forget, _file(session.home, base_url), session.home / PROFILE)


def _forget(file: Path, profile: Path) -> bool:
    known = file.exists() or profile.exists()
    file.unlink(missing_ok=True)
    shutil.rmtree(profile, ignore_errors=True)
    return known


def _file(home: Path, base_url: str) -> Path:
    return home / FOLDER / f"{urlsplit(base_url).hostname}.json"


def _demand_display(environ: Mapping[str, str]) -> None:
    """Raise ConfigurationError if no window can be shown."""
    shown = environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")
    if sys.platform.startswith("linux") and not shown:
        raise ConfigurationError(
            "there is no display to open a browser on: log in on another machine and copy the file "
            f"from its folder {FOLDER}, or export the site's cookies from a browser"
        )


def _visit(visit: _Visit) -> list[Cookie]:
    try:
        from playwright.sync_api import (  # type: ignore[import-not-found,unused-ignore]
            Error,
            sync_playwright,
        )
    except ImportError as error:
        raise ConfigurationError("the login needs `pip install 'plugmux-hf-chat[login]'`") from error
    visit.profile.mkdir(parents=True, exist_ok=True, mode=0o700)
    with sync_playwright() as playwright:
        try:
            context = _opened(visit, playwright)
        except Error as error:
            raise ConfigurationError(f"{visit.program} does not start: {_said(error)}") from error
        try:
            return _watched(visit, context)
        except Error as error:
            said = f"the browser was closed before the login was done: {_said(error)}"
            raise AuthenticationError(said) from error
        finally:
            with contextlib.suppress(Error):
                context.close()


def _opened(visit: _Visit, playwright: Any) -> Any:
    return playwright.chromium.launch_persistent_context(
        str(visit.profile),
        executable_path=visit.program,
        headless=visit.headless,
        chromium_sandbox=not _is_root(),
        no_viewport=True,
    )


def _said(error: Any) -> str:
    return str(error.message).splitlines()[0][:200]


def _watched(visit: _Visit, context: Any) -> list[Cookie]:
    """The cookies, once the server knows who is there."""
    page = context.pages[0] if context.pages else context.new_page()
    page.goto(f"{visit.base_url}/login")
    while not visit.gone.is_set() and time.monotonic() < visit.until:
        cookies = [_cookie(cookie) for cookie in context.cookies(visit.base_url)]
        names = {cookie.name for cookie in cookies}
        wanted = {"hf-chat", "token"} if is_hosted(visit.base_url) else {"hf-chat"}
        if wanted <= names and _is_known(visit, context):
            return cookies
        page.wait_for_timeout(LOOK_SECONDS * 1000)
    raise AuthenticationError("nobody logged in within the time allowed")


def _is_known(visit: _Visit, context: Any) -> bool:
    """Whether the server knows the user. It answers null to anybody else, with status 200."""
    answer = context.request.get(f"{visit.base_url}/api/v2/user")
    if answer.status == 404:  # an older server has no such route: its session cookie has to do
        return True
    try:
        body = answer.json() if answer.ok else None
    except ValueError:
        return False
    return isinstance(body, dict) and isinstance(body.get("json"), dict)


def _cookie(cookie: dict[str, Any]) -> Cookie:
    end = cookie.get("expires")
    return Cookie(
        name=cookie["name"],
        value=cookie["value"],
        domain=cookie["domain"],
        path=cookie["path"],
        expires=end if end and end > 0 else None,
    )


def _export(cookies: dict[str, Cookie]) -> bytes:
    """A file that `har_and_cookies` reads again, in the shape of browser extensions."""
    plain = [
        {"name": c.name, "value": c.value, "domain": c.domain, "path": c.path, "expirationDate": c.expires}
        for c in cookies.values()
    ]
    return json.dumps(plain, indent=1).encode()


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0
