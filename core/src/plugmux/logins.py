"""Tokens that `plugmux auth login` keeps: one JSON file in the settings' folder, for its owner only.

A kept token becomes the provider's setting `token`. What the environment or `config.toml` says wins.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import evolve

from plugmux.cache import write_private
from plugmux.credentials import Secret

if TYPE_CHECKING:
    from plugmux.settings import Settings

__all__ = ["StoredTokens", "keeper_of", "settings_with"]

HUB = "huggingface"
HUB_PLUGINS = ("hf-inference", "hf-media", "hf-space")
"""They take the same token: one login is for all of them."""

HUB_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


def keeper_of(provider: str) -> str:
    """The name under which a provider's token is kept."""
    return HUB if provider in HUB_PLUGINS else provider


class StoredTokens:
    """The file `credentials.json` in `home`. `problem` is what was wrong with it, for a word to the user."""

    def __init__(self, home: Path) -> None:
        self.path = home / "credentials.json"
        self.problem: str | None = None

    def load(self) -> dict[str, Secret]:
        """Tokens by name. A damaged file is set aside."""
        try:
            plain = json.loads(self.path.read_bytes())
            return {str(name): Secret(token) for name, token in plain["tokens"].items()}
        except FileNotFoundError:
            return {}
        except OSError as error:
            self.problem = f"cannot read {self.path}: {error.strerror}"
        except (ValueError, KeyError, TypeError, AttributeError):
            self.problem = self._set_aside()
        return {}

    def keep(self, name: str, token: Secret) -> None:
        """Store one token. Raises OSError."""
        self._write(self.load() | {name: token})

    def forget(self, name: str) -> bool:
        """Remove one token; whether there was one. Raises OSError."""
        tokens = self.load()
        found = tokens.pop(name, None) is not None
        if found:
            self._write(tokens)
        return found

    def _write(self, tokens: Mapping[str, Secret]) -> None:
        plain = {"version": 1, "tokens": {name: token.reveal() for name, token in tokens.items()}}
        write_private(self.path, json.dumps(plain).encode())

    def _set_aside(self) -> str:
        aside = self.path.with_name(f"{self.path.name}.damaged")
        with contextlib.suppress(OSError):
            self.path.replace(aside)
            return f"the kept tokens are damaged; they are set aside as {aside}"
        return f"the kept tokens are damaged, and {self.path} cannot be moved"


def settings_with(settings: Settings, tokens: Mapping[str, Secret]) -> Settings:
    """`settings` in which each kept token is its provider's setting `token`."""
    by_provider = {name: token for name, token in tokens.items() if name != HUB}
    if HUB in tokens and not any(settings.environ.get(name) for name in HUB_VARIABLES):
        at_the_hub = [name for name in HUB_PLUGINS if not settings.for_provider(name).get("base_url")]
        by_provider |= dict.fromkeys(at_the_hub, tokens[HUB])
    providers = {name: dict(values) for name, values in settings.providers.items()}
    for name, token in by_provider.items():
        providers.setdefault(name, {}).setdefault("token", token.reveal())
    return evolve(settings, providers=providers)
