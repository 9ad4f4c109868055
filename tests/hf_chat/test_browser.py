"""With a real Chromium: the login against a local page, and its profile read without a keyring.

The program is the one that PLUGMUX_TEST_CHROMIUM names, or an installed one.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from plugmux.errors import AuthenticationError, ConfigurationError
from plugmux.session import Session
from plugmux_hf_chat import plugin
from plugmux_hf_chat._browsers import browser_cookies
from plugmux_hf_chat._cookies import for_url
from plugmux_hf_chat._login import log_in


@pytest.fixture(scope="session")
def chromium() -> str:
    pytest.importorskip("playwright.sync_api", reason="the extra `login` is not installed")
    found = (
        os.environ.get("PLUGMUX_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    )
    if not found:
        pytest.skip("no Chromium: install one or set PLUGMUX_TEST_CHROMIUM")
    return found


@pytest.fixture
def long_lived(chromium: str, box: Any, tmp_path: Path) -> Path:
    """A profile that Chromium itself wrote, with the sandbox's cookies in it."""
    from playwright.sync_api import sync_playwright

    profile = tmp_path / "profile"

    def write() -> None:
        with sync_playwright() as playwright:
            context = playwright.chromium.launch_persistent_context(
                str(profile), executable_path=chromium, chromium_sandbox=os.geteuid() != 0
            )
            context.pages[0].goto(f"{box.url}/hf-chat/login/login")
            context.close()

    thread = threading.Thread(target=write)
    thread.start()
    thread.join()
    return profile


def test_the_cookies_of_a_profile_that_chromium_wrote_are_read(long_lived: Path, box: Any) -> None:
    pytest.importorskip("cryptography", reason="the extra `browser` is not installed")
    found = for_url(browser_cookies(str(long_lived), home=Path("/nowhere")), f"{box.url}/hf-chat/login")
    assert {name: cookie.value for name, cookie in found.items()} == {
        "hf-chat": "sandbox-session",
        "token": "sandbox-token",
    }
    assert all(cookie.expires and cookie.expires > 1.7e9 for cookie in found.values())


async def test_a_login_in_a_browser_keeps_the_cookies_for_the_owner_only(
    chromium: str, box: Any, new_session: Callable[..., Session]
) -> None:
    base = f"{box.url}/hf-chat/login"
    session = new_session(base, browser_path=chromium)
    said: list[str] = []
    credential = await log_in(session, base, said.append, headless=True, seconds=60)
    assert "sandbox-session" in credential.headers_for(base)["Cookie"]
    file = session.home / "har_and_cookies" / "127.0.0.1.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert {cookie["name"] for cookie in json.loads(file.read_text())} == {"hf-chat", "token"}
    assert not any("sandbox-session" in line for line in said)
    again = await plugin.authenticate(new_session(base), None)
    assert again is not None
    assert again.source == str(file)
    assert await plugin.logout(session, said.append) is True
    assert not file.exists()


async def test_a_login_that_nobody_finishes_ends_with_a_word(
    chromium: str, box: Any, new_session: Callable[..., Session]
) -> None:
    base = f"{box.url}/hf-chat/chat"  # sets cookies for a visitor, and knows no user
    session = new_session(base, browser_path=chromium)
    with pytest.raises(AuthenticationError, match="nobody logged in"):
        await log_in(session, base, lambda _: None, headless=True, seconds=3)


async def test_a_cancelled_login_closes_its_browser(
    chromium: str, box: Any, new_session: Callable[..., Session]
) -> None:
    base = f"{box.url}/hf-chat/chat"
    session = new_session(base, browser_path=chromium)
    with anyio.move_on_after(3) as scope:
        await log_in(session, base, lambda _: None, headless=True, seconds=600)
    assert scope.cancelled_caught
    lock = session.home / "browser-profile" / "SingletonLock"
    await anyio.to_thread.run_sync(gone, lock)


def gone(lock: Path) -> None:
    """Return once the browser has given up its profile: the thread looks twice a second."""
    until = time.monotonic() + 15
    while lock.is_symlink():
        assert time.monotonic() < until, "the browser is still open"
        time.sleep(0.05)


async def test_a_program_that_is_no_browser_is_a_typed_error(
    chromium: str, new_session: Callable[..., Session]
) -> None:
    session = new_session("http://127.0.0.1:9", browser_path="/bin/false")
    with pytest.raises(ConfigurationError, match="does not start"):
        await log_in(session, "http://127.0.0.1:9", lambda _: None, headless=True)


async def test_a_site_that_is_not_there_is_a_typed_error(
    chromium: str, new_session: Callable[..., Session]
) -> None:
    session = new_session("http://127.0.0.1:9", browser_path=chromium)
    with pytest.raises(AuthenticationError):
        await log_in(session, "http://127.0.0.1:9", lambda _: None, headless=True)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere there is always a display")
async def test_without_a_display_another_way_is_named(new_session: Callable[..., Session]) -> None:
    session = new_session("http://127.0.0.1:9")
    session.environ = {}
    with pytest.raises(ConfigurationError, match="no display"):
        await log_in(session, "http://127.0.0.1:9", lambda _: None)


async def test_a_browser_that_is_not_there_is_a_typed_error(
    new_session: Callable[..., Session], tmp_path: Path
) -> None:
    session = new_session("http://127.0.0.1:9", browser_path=str(tmp_path / "no-browser"))
    with pytest.raises(ConfigurationError, match="browser_path"):
        await log_in(session, "http://127.0.0.1:9", lambda _: None, headless=True)
