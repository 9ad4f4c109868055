"""Cookies out of the files that people have: HAR, Netscape, browser extensions' JSON, a plain header.

Pure. Of a HAR the cookies that were *sent* count: an answer that refuses somebody sets a session of its
own, and storing that one loses the login (seen in recorded traffic).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from attrs import field, frozen

from plugmux.errors import ConfigurationError

__all__ = ["Cookie", "cookie_header", "cookies_of", "for_url"]


@frozen(kw_only=True)
class Cookie:
    """One cookie. `domain` "" fits any host; `expires` is seconds since the epoch, None for a session."""

    name: str
    value: str = field(repr=False)
    domain: str = ""
    path: str = "/"
    expires: float | None = None

    def fits(self, url: str) -> bool:
        parts = urlsplit(url)
        host, domain = (parts.hostname or "").lower(), self.domain.lower().lstrip(".")
        below = (parts.path or "/").startswith(self.path.rstrip("/") or "/")
        return below and (not domain or host == domain or host.endswith(f".{domain}"))


def cookies_of(text: str) -> list[Cookie]:
    """The cookies of a file in any of the known formats. Raises ConfigurationError."""
    stripped = text.lstrip("\ufeff \r\n\t")
    try:
        if stripped.startswith(("{", "[")):
            return _of_json(json.loads(stripped))
        if "\t" in stripped:
            return [cookie for line in stripped.splitlines() if (cookie := _of_netscape(line))]
        return _of_header(stripped)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        kind = type(error).__name__
        raise ConfigurationError(f"not a cookie file of a known kind ({kind})") from error


def for_url(cookies: Iterable[Cookie], url: str) -> dict[str, Cookie]:
    """The cookies that a browser would send to `url`, by name; of several the last."""
    return {cookie.name: cookie for cookie in cookies if cookie.fits(url) and _sendable(cookie)}


def cookie_header(cookies: Iterable[Cookie]) -> str:
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in cookies)


def _sendable(cookie: Cookie) -> bool:
    """Whether name and value can stand in a header."""
    joined = cookie.name + cookie.value
    return bool(cookie.name) and joined.isascii() and joined.isprintable() and ";" not in joined


def _of_header(text: str) -> list[Cookie]:
    text = text.strip().removeprefix("Cookie:").removeprefix("cookie:")
    pairs = [part.strip().partition("=") for part in text.split(";") if part.strip()]
    if not pairs or not all(sign and name for name, sign, _ in pairs):
        raise ValueError("not name=value")
    return [Cookie(name=name.strip(), value=value.strip()) for name, _, value in pairs]


def _of_netscape(line: str) -> Cookie | None:
    line = line.removeprefix("#HttpOnly_")
    fields = line.rstrip("\r").split("\t")
    if line.startswith("#") or len(fields) != 7:
        return None
    domain, _, path, _, expires, name, value = fields
    return Cookie(name=name, value=value, domain=domain, path=path, expires=float(expires) or None)


def _of_json(body: Any) -> list[Cookie]:
    match body:
        case {"log": {"entries": list() as entries}}:
            return _of_har(entries)
        case {"cookies": list() as cookies} | (list() as cookies):
            return [_of_export(cookie) for cookie in cookies]
        case dict() if body and all(isinstance(value, str) for value in body.values()):
            return [Cookie(name=name, value=value) for name, value in body.items()]
    raise ValueError("no cookies")


def _of_export(cookie: Mapping[str, Any]) -> Cookie:
    """A cookie as extensions (`expirationDate`) and automation tools (`expires`) write it."""
    expires = cookie.get("expirationDate", cookie.get("expires"))
    return Cookie(
        name=str(cookie["name"]),
        value=str(cookie["value"]),
        domain=str(cookie.get("domain") or ""),
        path=str(cookie.get("path") or "/"),
        expires=_moment(expires),
    )


def _of_har(entries: Sequence[Mapping[str, Any]]) -> list[Cookie]:
    found: dict[tuple[str, str], Cookie] = {}
    ends: dict[tuple[str, str], float] = {}
    for entry in entries:
        host = urlsplit(entry["request"]["url"]).hostname or ""
        for name, value in _sent(entry["request"]):
            found[host, name] = Cookie(name=name, value=value, domain=host)
        for cookie in entry.get("response", {}).get("cookies") or ():
            end = _moment(cookie.get("expires"))
            if end is not None:
                ends[cookie["name"], cookie["value"]] = end
    return [
        Cookie(name=c.name, value=c.value, domain=c.domain, expires=ends.get((c.name, c.value)))
        for c in found.values()
    ]


def _sent(request: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The cookies of a request: its own list, else its header."""
    listed = [(str(cookie["name"]), str(cookie["value"])) for cookie in request.get("cookies") or ()]
    if listed:
        return listed
    headers = [h["value"] for h in request.get("headers") or () if str(h.get("name")).lower() == "cookie"]
    return [(cookie.name, cookie.value) for header in headers for cookie in _of_header(header)]


def _moment(value: object) -> float | None:
    """Seconds since the epoch of a number, an ISO date or a cookie's date; None for a session cookie."""
    if isinstance(value, bool) or value in (None, "", -1):
        return None
    if isinstance(value, int | float):
        return float(value) if value > 0 else None
    text = str(value)
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
