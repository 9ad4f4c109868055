"""An installed browser's cookies, read from its profile on disk (Linux), and where browsers are.

Only when asked for by the setting `browser`. Chromium encrypts with a fixed key where it has no keyring
(`v10`), which is read here; with a keyring (`v11`) only the desktop's own service has the key.
"""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from plugmux.errors import ConfigurationError
from plugmux_hf_chat._cookies import Cookie

__all__ = ["browser_cookies", "installed_chromium"]

_CHROMIUMS = {
    "chrome": ".config/google-chrome",
    "chromium": ".config/chromium",
    "brave": ".config/BraveSoftware/Brave-Browser",
    "edge": ".config/microsoft-edge",
}
_FIREFOX = ".mozilla/firefox"
_PROGRAMS = ("google-chrome", "google-chrome-stable", "chromium", "chromium-browser", "brave-browser")
_EPOCH_1601 = 11_644_473_600
"""Seconds from 1601, where Chromium counts from, to 1970."""


def installed_chromium(path: str | None = None) -> str:
    """The program of an installed Chrome or Chromium. Raises ConfigurationError with the remedy."""
    found = path if path and Path(path).is_file() else None
    if path and not found:
        raise ConfigurationError(f"browser_path: there is no program {path!r}")
    found = found or next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if not found:
        raise ConfigurationError(
            "no Chrome or Chromium is installed: install one (apt install chromium), set browser_path, "
            "or put a cookie file into har_and_cookies"
        )
    return found


def browser_cookies(browser: str, *, home: Path) -> list[Cookie]:
    """All cookies of a browser, by its name (chrome, chromium, brave, edge, firefox) or a profile's
    folder. Raises ConfigurationError."""
    files = _files(browser, home)
    if not files:
        known = ", ".join([*_CHROMIUMS, "firefox"])
        raise ConfigurationError(
            f"browser: no cookies of {browser!r} found; known are {known}, and a profile's folder"
        )
    newest = max(files, key=lambda file: file.stat().st_mtime)
    try:
        return list(_firefox(newest) if newest.name == "cookies.sqlite" else _chromium(newest))
    except (sqlite3.Error, OSError) as error:
        raise ConfigurationError(f"browser: cannot read {newest}: {error}") from error


def _files(browser: str, home: Path) -> list[Path]:
    if browser in _CHROMIUMS:
        return _below(home / _CHROMIUMS[browser], ("*/Cookies", "*/Network/Cookies"))
    if browser == "firefox":
        return _below(home / _FIREFOX, ("*/cookies.sqlite",))
    names = ("Cookies", "Network/Cookies", "Default/Cookies", "Default/Network/Cookies", "cookies.sqlite")
    return _below(Path(browser).expanduser(), names)


def _below(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    return [path for pattern in patterns for path in folder.glob(pattern) if path.is_file()]


def _rows(file: Path, query: str) -> tuple[list[tuple[object, ...]], int]:
    """The rows, and the database's version. Of a copy: a running browser keeps the original locked."""
    with tempfile.TemporaryDirectory(prefix="plugmux-") as folder:
        for source in (file, *file.parent.glob(f"{file.name}-*")):
            shutil.copy2(source, Path(folder) / source.name)
        base = sqlite3.connect(Path(folder) / file.name)
        try:
            rows = base.execute(query).fetchall()
            version = (
                base.execute("select value from meta where key = 'version'").fetchone()
                if _meta(base)
                else None
            )
        finally:
            base.close()
    return rows, int(version[0]) if version else 0


def _meta(base: sqlite3.Connection) -> bool:
    return bool(base.execute("select 1 from sqlite_master where name = 'meta'").fetchone())


def _firefox(file: Path) -> Iterator[Cookie]:
    rows, _ = _rows(file, "select host, name, value, path, expiry from moz_cookies")
    for host, name, value, path, expiry in rows:
        # Since 2025 Firefox counts milliseconds.
        seconds = float(str(expiry)) / (1000 if float(str(expiry)) > 1e11 else 1)
        yield Cookie(name=str(name), value=str(value), domain=str(host), path=str(path), expires=seconds)


def _chromium(file: Path) -> Iterator[Cookie]:
    query = (
        "select host_key, name, value, encrypted_value, path, expires_utc from cookies "
        "order by last_access_utc"
    )
    rows, version = _rows(file, query)
    sealed = 0
    for host, name, plain, secret, path, expires in rows:
        value = _opened(bytes(secret), str(host), version) if secret else str(plain)  # type: ignore[call-overload]
        if value is None:
            sealed += 1
            continue
        end = int(str(expires)) / 1e6 - _EPOCH_1601 if expires else None
        yield Cookie(name=str(name), value=value, domain=str(host), path=str(path), expires=end)
    if rows and sealed == len(rows):
        raise ConfigurationError(
            "browser: its cookies are locked by the desktop's keyring; use `plugmux auth login hf-chat`"
        )


def _opened(secret: bytes, host: str, version: int) -> str | None:
    """The value of an encrypted cookie; None if its key is in a keyring."""
    if not secret.startswith(b"v10"):
        return None
    plain = _decrypted(secret[3:])
    if version >= 24:  # from then on the value stands behind a hash of its host
        if plain[:32] != hashlib.sha256(host.encode()).digest():
            return None
        plain = plain[32:]
    return plain.decode("utf-8", "replace")


def _decrypted(secret: bytes) -> bytes:
    """AES-128-CBC under the key that Chromium documents for systems without a keyring."""
    try:
        from cryptography.hazmat.primitives.ciphers import (  # type: ignore[import-not-found,unused-ignore]
            Cipher,
            algorithms,
            modes,
        )
    except ImportError as error:
        raise ConfigurationError(
            "browser: reading Chromium's cookies needs `pip install 'plugmux-hf-chat[browser]'`"
        ) from error
    key = hashlib.pbkdf2_hmac("sha1", b"peanuts", b"saltysalt", 1, 16)
    decryptor = Cipher(algorithms.AES(key), modes.CBC(b" " * 16)).decryptor()
    plain = bytes(decryptor.update(secret) + decryptor.finalize())
    return plain[: -plain[-1]] if plain and 1 <= plain[-1] <= 16 else plain
