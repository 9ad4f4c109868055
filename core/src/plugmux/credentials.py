"""Credentials that know where they may go.

Nothing secret lives in client headers or cookie jars. `Credential.headers_for(url)` is the only door:
the transport asks it at every hop, redirects included, and it answers with nothing for a foreign origin.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NoReturn
from urllib.parse import urlsplit

from attrs import field, frozen

from plugmux.errors import InvalidInputError
from plugmux.value import Value

__all__ = ["Credential", "Secret", "origin_of", "sendable"]

SHORTEST = 6
"""Characters that a part of a secret must have to be looked for in texts."""
_DEFAULT_PORTS = {"http": 80, "https": 443}


@lru_cache(maxsize=256)
def origin_of(url: str) -> str:
    """Scheme, host and port of a URL in one spelling: `https://huggingface.co:443`.

    Raises ValueError for a URL without a host or with a scheme other than http and https.
    """
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ValueError("not an http or https URL with a host")
    return f"{scheme}://{parts.hostname.lower()}:{parts.port or _DEFAULT_PORTS[scheme]}"


def sendable(value: object) -> bool:
    """Whether this can be a header's value, blanks around it aside."""
    return isinstance(value, str) and value.isascii() and value.strip().replace("\t", " ").isprintable()


class Secret:
    """A string that shows in no repr, format, log or pickle. `reveal()` gives it."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        if not value.isprintable() or not value.isascii():
            raise InvalidInputError(
                "a secret may hold printable ASCII only (a line break at its end?)", field="token"
            )
        self.__value = value

    def reveal(self) -> str:
        return self.__value

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.reveal() == other.reveal()

    def __hash__(self) -> int:
        return hash(("Secret", self.__value))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled or copied")


def _secrets(headers: Mapping[str, str | Secret]) -> dict[str, Secret]:
    return {name: value if isinstance(value, Secret) else Secret(value) for name, value in headers.items()}


def _origins(urls: Iterable[str]) -> frozenset[str]:
    return frozenset(origin_of(url) for url in urls)


@frozen(kw_only=True, eq=False, repr=False)
class Credential(Value):
    """Secret headers and the origins they may go to.

    `headers`  header name → secret value, `Authorization` or `Cookie` say
    `origins`  URLs whose origins (scheme, host, port) may see them
    `source`   where it was found, in words: "HF_TOKEN", "--token"
    `account`  who pays, if known
    `expires_at`  seconds since the epoch, if known
    """

    headers: Mapping[str, Secret] = field(converter=_secrets, repr=False)
    origins: frozenset[str] = field(converter=_origins)
    source: str = ""
    account: str | None = None
    expires_at: float | None = None

    @classmethod
    def bearer(cls, token: str, *, origins: Iterable[str], **facts: Any) -> Credential:
        """`Authorization: Bearer …` for these origins."""
        return cls(headers={"Authorization": f"Bearer {token.strip()}"}, origins=origins, **facts)

    def headers_for(self, url: str) -> dict[str, str]:
        """The headers that a request to `url` may carry; empty for any other origin."""
        try:
            allowed = origin_of(url) in self.origins
        except ValueError:
            return {}
        return {name: value.reveal() for name, value in self.headers.items()} if allowed else {}

    def conceal(self, text: str) -> str:
        """`text` with every secret of this credential blotted out."""
        for part in self._parts():
            if len(part) >= SHORTEST:
                text = text.replace(part, "[secret]")
        return text

    def _parts(self) -> Iterator[str]:
        """What must not show: each header whole, a token without its scheme, the value of each cookie."""
        for name, value in self.headers.items():
            whole = value.reveal()
            yield whole
            yield whole.partition(" ")[2]
            if name.lower() == "cookie":
                yield from (cookie.partition("=")[2].strip() for cookie in whole.split(";"))

    @property
    def fingerprint(self) -> str:
        """A short one-way name for the secret, to key caches by."""
        joined = "\n".join(f"{name}={value.reveal()}" for name, value in sorted(self.headers.items()))
        return hashlib.sha256(b"plugmux" + joined.encode()).hexdigest()[:16]
