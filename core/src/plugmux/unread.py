"""Settings that nobody reads, mostly because of a slip in their name.

Nothing is refused for it: a variable may be meant for a plugin that is installed elsewhere. It is said where
somebody asks how things are (`plugmux providers`, `plugmux status`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches

from plugmux.settings import RESERVED, Settings, variable_prefix

__all__ = ["unread_settings"]

FOR_ALL = frozenset({"token", "api_key"})
"""What `plugmux auth login` keeps, and what a Hub token may be called, for any provider."""

Declared = Mapping[str, Collection[str] | None]


def unread_settings(settings: Settings, declared: Declared, extensions: Iterable[str] = ()) -> list[str]:
    """What is set and has no effect, in words with its place.

    `declared` has every provider's names of settings; None where they are not known, as of a plugin that is
    not loaded, and then any name may be right.
    """
    return [
        *_blocked(settings, {*declared, *extensions}),
        *_tables(settings, declared),
        *_variables(settings, declared),
    ]


def _blocked(settings: Settings, known: Collection[str]) -> Iterator[str]:
    for name in sorted(settings.disabled.difference(known)):
        yield f"PLUGMUX_DISABLE: there is no provider {name!r}{_hint(name, known)}"


def _tables(settings: Settings, declared: Declared) -> Iterator[str]:
    for name, table in settings.providers.items():
        if name in declared:
            for key in table:
                if key != "plugin" and not _is_read(key, declared[name]):
                    yield f"[providers.{name}] {key}: {name} has no such setting{_hint(key, declared[name])}"
        elif not FOR_ALL.issuperset(table):
            yield f'[providers.{name}]: there is no such provider; a new one needs plugin = "…"'


def _variables(settings: Settings, declared: Declared) -> Iterator[str]:
    for variable in sorted(settings.environ):
        if not variable.startswith("PLUGMUX_") or variable in RESERVED or not settings.environ[variable]:
            continue
        # PLUGMUX_HF_INFERENCE_… is for a provider `hf` as well, should there be one.
        owners = {name: variable_prefix(name) for name in declared}
        owners = {name: prefix for name, prefix in owners.items() if variable.startswith(prefix)}
        keys = {name: variable.removeprefix(prefix).lower() for name, prefix in owners.items()}
        if not owners:
            yield f"{variable}: no provider that is installed has this name"
        elif not any(_is_read(key, declared[name]) for name, key in keys.items()):
            name = max(owners, key=len)
            yield f"{variable}: {name} has no setting {keys[name]}{_hint(keys[name], declared[name])}"


def _is_read(key: str, names: Collection[str] | None) -> bool:
    return names is None or key in names or key in FOR_ALL


def _hint(word: str, names: Collection[str] | None) -> str:
    near = get_close_matches(word, sorted(names or ()), 1)
    return f"; did you mean {near[0]}?" if near else ""
