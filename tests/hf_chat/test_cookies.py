"""Cookies out of files, and what makes a login of them."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugmux.errors import AuthenticationError, ConfigurationError
from plugmux.session import Session
from plugmux_hf_chat import cohere, plugin
from plugmux_hf_chat._browsers import browser_cookies
from plugmux_hf_chat._cookies import Cookie, cookies_of, for_url
from plugmux_hf_chat._credentials import credential_of

SITE = "https://huggingface.co/chat"
FAR = 4_000_000_000.0

NETSCAPE = (
    "# Netscape HTTP Cookie File\n"
    ".huggingface.co\tTRUE\t/\tTRUE\t4000000000\ttoken\thub-cookie\n"
    "#HttpOnly_huggingface.co\tFALSE\t/\tTRUE\t4000000000\thf-chat\tsession-cookie\n"
)
EXTENSION = json.dumps(
    [
        {"name": "token", "value": "hub-cookie", "domain": ".huggingface.co", "expirationDate": FAR},
        {"name": "hf-chat", "value": "session-cookie", "domain": "huggingface.co", "expirationDate": FAR},
    ]
)
STORAGE = json.dumps(
    {
        "cookies": [
            {"name": "token", "value": "hub-cookie", "domain": ".huggingface.co", "path": "/", "expires": -1},
            {
                "name": "hf-chat",
                "value": "session-cookie",
                "domain": "huggingface.co",
                "path": "/",
                "expires": FAR,
            },
        ]
    }
)


def har(*entries: tuple[str, dict[str, str], list[dict[str, Any]]]) -> str:
    return json.dumps(
        {
            "log": {
                "entries": [
                    {
                        "request": {
                            "url": url,
                            "cookies": [{"name": name, "value": value} for name, value in cookies.items()],
                        },
                        "response": {"cookies": answered},
                    }
                    for url, cookies, answered in entries
                ]
            }
        }
    )


PAIR = {"token": "hub-cookie", "hf-chat": "session-cookie"}
HAR = har((f"{SITE}/api/v2/user", PAIR, []))
HAR_HEADERS = json.dumps(
    {
        "log": {
            "entries": [
                {
                    "request": {
                        "url": SITE,
                        "headers": [{"name": "cookie", "value": "token=hub-cookie; hf-chat=session-cookie"}],
                    }
                }
            ]
        }
    }
)


@pytest.mark.parametrize(
    "text",
    [
        NETSCAPE,
        EXTENSION,
        STORAGE,
        HAR,
        HAR_HEADERS,
        "\ufeff" + EXTENSION,
        "hf-chat=session-cookie; token=hub-cookie",
        "Cookie: hf-chat=session-cookie; token=hub-cookie\n",
        json.dumps(PAIR),
    ],
    ids=["netscape", "extension", "storage", "har", "har-headers", "mark", "header", "with-name", "mapping"],
)
def test_every_known_format_gives_both_cookies(text: str) -> None:
    found = for_url(cookies_of(text), SITE)
    assert {name: cookie.value for name, cookie in found.items()} == PAIR


def test_a_har_counts_what_was_sent_and_not_what_a_refusal_set() -> None:
    refused = [{"name": "hf-chat", "value": "anonymous", "expires": "2096-10-02T07:06:40Z"}]
    found = for_url(cookies_of(har((SITE, PAIR, refused))), SITE)
    assert found["hf-chat"].value == "session-cookie"


def test_a_har_knows_the_end_of_a_cookie_from_the_answer_that_set_it() -> None:
    set_again = [{"name": "hf-chat", "value": "session-cookie", "expires": "2096-10-02T07:06:40Z"}]
    found = for_url(cookies_of(har((SITE, PAIR, set_again))), SITE)
    assert found["hf-chat"].expires == FAR


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"log": {}}', "no cookies here", '{"a": 1}', "<html>"])
def test_what_is_no_cookie_file_is_a_typed_error(text: str) -> None:
    with pytest.raises(ConfigurationError):
        cookies_of(text)


def test_a_cookie_of_another_site_is_not_sent() -> None:
    cookies = [Cookie(name="hf-chat", value="x", domain="evil-huggingface.co")]
    assert for_url(cookies, SITE) == {}


def test_a_cookie_that_would_break_the_header_is_not_sent() -> None:
    assert for_url([Cookie(name="hf-chat", value="a\r\nX-Evil: 1")], SITE) == {}


def test_the_hosted_site_needs_both_cookies() -> None:
    with pytest.raises(AuthenticationError, match="both are needed"):
        credential_of([Cookie(name="hf-chat", value="x")], SITE, source="a file", now=0)


def test_another_server_needs_only_its_own() -> None:
    found = credential_of([Cookie(name="hf-chat", value="x")], "http://127.0.0.1:1", source="a file", now=0)
    assert found is not None
    assert found.headers_for("http://127.0.0.1:1/conversation") == {"Cookie": "hf-chat=x"}
    assert found.headers_for("http://127.0.0.1:2/conversation") == {}


def test_an_expired_login_is_noticed_before_anything_is_sent() -> None:
    cookies = [Cookie(name="token", value="t"), Cookie(name="hf-chat", value="x", expires=99.0)]
    with pytest.raises(AuthenticationError, match="has expired") as caught:
        credential_of(cookies, SITE, source="my.har", now=100.0)
    assert "plugmux auth login hf-chat" in caught.value.remedy


async def test_the_newest_file_with_a_session_counts(new_session: Callable[..., Session]) -> None:
    session = new_session("https://chat.example.com")
    folder = session.home / "har_and_cookies"
    folder.mkdir(parents=True)
    for age, value in ((100, "old"), (50, "new")):
        path = folder / f"{value}.json"
        path.write_text(json.dumps([{"name": "hf-chat", "value": value, "domain": "chat.example.com"}]))
        os.utime(path, (1_000_000 - age, 1_000_000 - age))
    (folder / "other.txt").write_text("hf-chat=elsewhere", "utf-8")
    os.utime(folder / "other.txt", (1, 1))
    credential = await plugin.authenticate(session, None)
    assert credential is not None
    assert credential.headers_for("https://chat.example.com/x") == {"Cookie": "hf-chat=new"}
    assert credential.source == str(folder / "new.json")


async def test_a_session_without_a_site_is_taken_for_huggingchats_and_goes_nowhere_else(
    new_session: Callable[..., Session],
) -> None:
    session = new_session(SITE)
    folder = session.home / "har_and_cookies"
    folder.mkdir(parents=True)
    (folder / "plain.txt").write_text("hf-chat=session-cookie; token=hub-cookie")
    hosted = await plugin.authenticate(session, None)
    assert hosted is not None
    assert hosted.origins == {"https://huggingface.co:443"}
    assert await plugin.authenticate(new_session("https://chat.example.com"), None) is None
    preset = new_session(SITE, token="hf-chat=session-cookie")
    preset.settings = {}
    assert await cohere.authenticate(preset, None) is None


async def test_a_damaged_file_is_named(new_session: Callable[..., Session]) -> None:
    session = new_session("https://chat.example.com")
    folder = session.home / "har_and_cookies"
    folder.mkdir(parents=True)
    (folder / "broken.har").write_text("{")
    with pytest.raises(ConfigurationError, match=r"broken\.har"):
        await plugin.authenticate(session, None)


async def test_after_a_refusal_the_same_cookies_are_not_offered_again(
    new_session: Callable[..., Session],
) -> None:
    session = new_session("https://chat.example.com", cookies="hf-chat=one")
    assert await plugin.authenticate(session, None) is not None
    assert await plugin.authenticate(session, AuthenticationError("no", status=401)) is None
    renewed = new_session("https://chat.example.com", cookies="hf-chat=two")
    assert await plugin.authenticate(renewed, AuthenticationError("no", status=401)) is not None


async def test_cookies_may_be_longer_than_the_name_of_a_file(new_session: Callable[..., Session]) -> None:
    session = new_session("https://chat.example.com", cookies=f"hf-chat=one; other={'x' * 5000}")
    assert await plugin.authenticate(session, None) is not None


async def test_a_cookies_value_alone_is_refused_and_not_shown(new_session: Callable[..., Session]) -> None:
    with pytest.raises(ConfigurationError, match="neither name=value pairs nor a file") as caught:
        await plugin.authenticate(new_session("https://chat.example.com", cookies="not-for-show"), None)
    assert "not-for-show" not in str(caught.value)


async def test_a_file_of_cookies_that_is_not_there_is_named(new_session: Callable[..., Session]) -> None:
    with pytest.raises(ConfigurationError, match=r"there is no file .*mine\.json"):
        await plugin.authenticate(new_session("https://chat.example.com", cookies="~/mine.json"), None)


async def test_a_hub_token_is_no_login_here(new_session: Callable[..., Session]) -> None:
    session = new_session("https://chat.example.com", token="hub-token-of-somebody")
    assert await plugin.authenticate(session, None) is None


def test_an_unknown_browser_is_named_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="chrome, chromium, brave, edge, firefox"):
        browser_cookies("netscape", home=tmp_path)


def test_firefox_cookies_are_read_from_its_profile(tmp_path: Path) -> None:
    folder = tmp_path / ".mozilla" / "firefox" / "abc.default"
    folder.mkdir(parents=True)
    base = sqlite3.connect(folder / "cookies.sqlite")
    base.execute("create table moz_cookies (host, name, value, path, expiry)")
    base.execute("insert into moz_cookies values ('.huggingface.co', 'token', 't', '/', 4000000000)")
    base.commit()
    base.close()
    assert browser_cookies("firefox", home=tmp_path) == [
        Cookie(name="token", value="t", domain=".huggingface.co", expires=FAR)
    ]


def chromium_profile(folder: Path, rows: list[tuple[str, str, bytes]], version: int = 24) -> Path:
    """A profile as Chromium lays it out, with these (name, value, encrypted value)."""
    folder.mkdir(parents=True)
    base = sqlite3.connect(folder / "Cookies")
    base.execute("create table meta (key, value)")
    base.execute("insert into meta values ('version', ?)", (str(version),))
    base.execute(
        "create table cookies (host_key, name, value, encrypted_value, path, expires_utc, last_access_utc)"
    )
    for name, value, secret in rows:
        base.execute(
            "insert into cookies values ('.huggingface.co', ?, ?, ?, '/', 15644473600000000, 1)",
            (name, value, secret),
        )
    base.commit()
    base.close()
    return folder


def test_cookies_that_chromium_left_plain_are_read(tmp_path: Path) -> None:
    profile = chromium_profile(tmp_path / "Default", [("token", "t", b"")])
    assert browser_cookies(str(profile), home=tmp_path) == [
        Cookie(name="token", value="t", domain=".huggingface.co", expires=FAR)
    ]


def test_cookies_locked_by_a_keyring_are_a_typed_error_with_a_way_out(tmp_path: Path) -> None:
    profile = chromium_profile(tmp_path / "Default", [("token", "", b"v11" + bytes(16))])
    with pytest.raises(ConfigurationError, match="plugmux auth login hf-chat"):
        browser_cookies(str(profile), home=tmp_path)


def test_a_profile_that_is_no_database_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "Cookies").write_bytes(b"not a database, but long enough to look at" * 100)
    with pytest.raises(ConfigurationError, match="cannot read"):
        browser_cookies(str(tmp_path), home=tmp_path)


@settings(deadline=None)
@given(
    st.text()
    | st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
        lambda x: (
            st.lists(x)
            | st.dictionaries(
                st.sampled_from(
                    ["log", "entries", "request", "url", "cookies", "name", "value", "expires", "domain"]
                ),
                x,
            )
        ),
    ).map(json.dumps)
)
def test_no_file_raises_anything_untyped(text: str) -> None:
    try:
        cookies_of(text)
    except ConfigurationError:
        return
