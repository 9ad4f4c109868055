"""What a model name means here: a Space of the Hub, or the address of any Gradio app.

spaces/owner/name              a Space
spaces/owner/name#endpoint     one endpoint of it
https://huggingface.co/spaces/owner/name
owner-name.hf.space            a Space by its address; which one, only the Hub can say
http://127.0.0.1:7860          any Gradio app
owner/name                     a Space only where the settings name it: it might be a model
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from attrs import frozen

__all__ = ["Place", "place_of", "space_address", "space_of"]

_PART = r"[A-Za-z0-9][\w.-]*"
_SPACE = re.compile(rf"{_PART}/{_PART}")
_HOST = re.compile(r"[a-z0-9-]+(\.static)?\.hf\.space", re.I)


@frozen(kw_only=True)
class Place:
    """Where an app is: `space` is `owner/name`, `url` an address without a slash at its end.

    At least one of them is set. `endpoint` is an api name without its slash.
    """

    space: str | None = None
    url: str | None = None
    endpoint: str | None = None

    @property
    def id(self) -> str:
        """The model id of the app's best endpoint."""
        return f"spaces/{self.space}" if self.space else self.url or ""

    @property
    def is_space_address(self) -> bool:
        """Whether the Hub can name the Space that this address belongs to."""
        return self.space is None and bool(_HOST.fullmatch(urlsplit(self.url or "").hostname or ""))

    def is_at(self, other: Place) -> bool:
        """Whether both are the same app, by their addresses, else by the names of their Spaces."""
        if self.url is not None:
            return self.url == other.url
        return (self.space or "").lower() == (other.space or "").lower()


def place_of(name: str) -> Place | None:
    """The place that a model name means, or None for a name that is nothing of ours."""
    base, _, endpoint = name.strip().partition("#")
    picked = endpoint.strip("/") or None
    if base.startswith("spaces/"):
        space = space_of(base)
        return Place(space=space, endpoint=picked) if space else None
    if _HOST.fullmatch(base.split("/", 1)[0]):
        base = f"https://{base}"
    if base.startswith(("http://", "https://")):
        return _of_url(base, picked)
    return None


def space_of(name: str) -> str | None:
    """`owner/name` of `owner/name` or `spaces/owner/name`; None for anything else."""
    bare = name.strip().removeprefix("spaces/")
    return bare if _SPACE.fullmatch(bare) else None


def space_address(space: str) -> str:
    """The address that a Space has by the rule of the Hub's pages: `owner-name.hf.space` (documented).

    Only a guess: a Space may have another subdomain or a domain of its own, which the Hub knows.
    """
    return f"https://{re.sub(r'[/._]', '-', space).lower()}.hf.space"


def _of_url(url: str, endpoint: str | None) -> Place | None:
    try:
        parts = urlsplit(url)
        if not parts.hostname or parts.username or parts.password:
            return None
        _ = parts.port
    except ValueError:
        return None
    path = parts.path.rstrip("/")
    if parts.hostname in ("huggingface.co", "hf.co"):
        space = space_of(path.lstrip("/")) if path.startswith("/spaces/") else None
        return Place(space=space, endpoint=endpoint) if space else None
    return Place(url=f"{parts.scheme}://{parts.netloc}{path}", endpoint=endpoint)
