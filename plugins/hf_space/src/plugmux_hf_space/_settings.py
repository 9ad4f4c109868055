"""The provider's settings, checked.

spaces         Spaces and addresses to list, with commas or blanks between them, or a list
trusted        Spaces (`owner/name`) that may see the Hub token, at the address the Hub names
serves         which model a Space stands for: a table, or `owner/name=model/id` with commas
overrides      what to call in a stubborn Space: a table by Space, see `Override`
base_url       one Gradio app: this instance serves it and nothing else
hub_url, token
waking_limit, queue_limit, run_limit     seconds: until a sleeping Space answers, in the queue, at work
preview_gap    seconds between two previews that are fetched; a negative number fetches none
poll_gap       seconds between two questions to the Hub while a Space wakes
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen

from plugmux.errors import ConfigurationError
from plugmux.model import Task
from plugmux_hf_space._places import Place, place_of, space_of

__all__ = ["SETTINGS", "Override", "SpaceSettings"]

SETTINGS = (
    "spaces",
    "trusted",
    "serves",
    "overrides",
    "base_url",
    "hub_url",
    "token",
    "waking_limit",
    "queue_limit",
    "run_limit",
    "preview_gap",
    "poll_gap",
)


@frozen(kw_only=True)
class Override:
    """What beats the rules for one Space.

    `endpoint` is the api name to call, `task` what it does, `parameters` maps a parameter's name to the
    option it takes (`{"txt" = "prompt"}`), `values` are sent as they are.
    """

    endpoint: str | None = None
    task: str | None = None
    parameters: Mapping[str, str] = field(factory=dict)
    values: Mapping[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class SpaceSettings:
    """All settings of one instance."""

    places: tuple[Place, ...] = ()
    trusted: frozenset[str] = frozenset()
    serves: Mapping[str, str] = field(factory=dict)
    overrides: Mapping[str, Override] = field(factory=dict)
    base: Place | None = None
    waking_limit: float = 180.0
    queue_limit: float = 300.0
    run_limit: float = 600.0
    preview_gap: float = 0.5
    poll_gap: float = 3.0

    @classmethod
    def load(cls, given: Mapping[str, Any]) -> SpaceSettings:
        """Check a provider's settings. Raises ConfigurationError that names the wrong one."""
        base = given.get("base_url")
        return cls(
            places=tuple(_place(name, "spaces") for name in _names(given.get("spaces"), "spaces")),
            trusted=frozenset(
                _space(name, "trusted").lower() for name in _names(given.get("trusted"), "trusted")
            ),
            serves=_serves(given.get("serves")),
            overrides=_overrides(given.get("overrides")),
            base=_place(str(base), "base_url") if base else None,
            **{name: _seconds(given[name], name) for name in _NUMBERS if given.get(name) not in (None, "")},
        )

    def override_of(self, place: Place) -> Override:
        """The override of an app, an empty one if there is none."""
        return self.overrides.get((place.space or place.url or "").lower(), Override())

    def trusts(self, space: str | None) -> bool:
        """Whether the user lets this Space see the token."""
        return space is not None and space.lower() in self.trusted


_NUMBERS = ("waking_limit", "queue_limit", "run_limit", "preview_gap", "poll_gap")


def _names(given: object, setting: str) -> list[str]:
    if given is None:
        return []
    if isinstance(given, str):
        return [name for name in re.split(r"[,\s]+", given) if name]
    if isinstance(given, list | tuple) and all(isinstance(name, str) for name in given):
        return list(given)
    raise ConfigurationError(f"hf-space: the setting {setting} wants a list of names or a text with commas")


def _place(name: str, setting: str) -> Place:
    place = place_of(name) or (Place(space=space) if (space := space_of(name)) else None)
    if place is None:
        raise ConfigurationError(
            f"hf-space: the setting {setting}: {name!r} is neither owner/name nor an http(s) address"
        )
    return place


def _space(name: str, setting: str) -> str:
    space = space_of(name)
    if space is None:
        raise ConfigurationError(f"hf-space: the setting {setting}: {name!r} is not of the form owner/name")
    return space


def _serves(given: object) -> dict[str, str]:
    if isinstance(given, Mapping):
        pairs = [(str(name), str(model)) for name, model in given.items()]
    else:
        pairs = [(name, model) for name, _, model in (n.partition("=") for n in _names(given, "serves"))]
    if not all(model for _, model in pairs):
        raise ConfigurationError("hf-space: the setting serves wants owner/name=model/id")
    return {_space(name, "serves").lower(): model for name, model in pairs}


def _overrides(given: object) -> dict[str, Override]:
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(isinstance(entry, Mapping) for entry in given.values()):
        raise ConfigurationError("hf-space: the setting overrides wants a table for each Space")
    return {_key(str(name)): _override(str(name), entry) for name, entry in given.items()}


def _key(name: str) -> str:
    place = _place(name, "overrides")
    return (place.space or place.url or "").lower()


def _override(name: str, entry: Mapping[str, Any]) -> Override:
    try:
        found = Override(**entry)
    except TypeError as error:
        raise ConfigurationError(f"hf-space: the override of {name}: {error}") from error
    tables = isinstance(found.parameters, Mapping) and isinstance(found.values, Mapping)
    texts = all(text is None or isinstance(text, str) for text in (found.endpoint, found.task))
    if not (tables and texts):
        raise ConfigurationError(
            f"hf-space: the override of {name}: endpoint and task are texts, parameters and values tables"
        )
    _check_words(name, found)
    return found


def _check_words(name: str, override: Override) -> None:
    from plugmux_hf_space._synonyms import OPTIONS  # read by few: only for an override

    if override.task is not None:
        _known(override.task, "task", [task.value for task in Task], name)
    for option in override.parameters.values():
        _known(option, "option", sorted(OPTIONS), name)


def _known(word: object, kind: str, words: Sequence[str], name: str) -> None:
    if word not in words:
        known = ", ".join(words)
        raise ConfigurationError(
            f"hf-space: the override of {name}: no {kind} is called {word!r}; there are {known}"
        )


def _seconds(given: object, setting: str) -> float:
    least = float("-inf") if setting == "preview_gap" else 0.0
    try:
        seconds = float(given)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        seconds = math.nan
    if math.isnan(seconds) or seconds < least:
        wanted = "a number of seconds" if least else "a number of seconds from 0 on"
        raise ConfigurationError(f"hf-space: the setting {setting} wants {wanted}, not {given!r}")
    return seconds
