"""One provider's models: as it listed them, or as an earlier process kept them.

A kept list is read in two steps, because a request needs one model of thousands: what names the models
at once, each model itself when somebody asks for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from plugmux.model import Auth, Model, Pricing

__all__ = ["ModelList", "model_from_plain", "model_to_plain"]


class ModelList:
    """Models in order. Immutable to the eye: an entry is JSON text until it is first asked for.

    `ids`        of every entry, in order
    `aliases`    (alias, id) pairs
    `upstreams`  everybody who computes
    `defaults`   ids of the models that serve when none is named
    """

    def __init__(
        self,
        ids: tuple[str, ...],
        aliases: tuple[tuple[str, str], ...],
        upstreams: frozenset[str],
        defaults: frozenset[str],
        entries: list[Model | str | None],
    ) -> None:
        self.ids = ids
        self.aliases = aliases
        self.upstreams = upstreams
        self.defaults = defaults
        self._entries = entries

    @classmethod
    def of(cls, models: Iterable[Model]) -> ModelList:
        """A list of models as they are."""
        entries = tuple(models)
        return cls(
            tuple(model.id for model in entries),
            tuple((alias, model.id) for model in entries for alias in model.aliases),
            frozenset(model.upstream for model in entries if model.upstream),
            frozenset(model.id for model in entries if model.default),
            [*entries],
        )

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> ModelList:
        """What `to_plain` gave. Raises ValueError, TypeError or KeyError for what is none."""
        ids, texts = plain["ids"], plain["models"]
        aliases = tuple((alias, named) for alias, named in plain["aliases"])
        upstreams, defaults = frozenset(plain["upstreams"]), frozenset(plain["defaults"])
        for text in (*ids, *texts, *upstreams, *defaults, *(word for pair in aliases for word in pair)):
            if type(text) is not str:
                raise TypeError(f"a list of models holds a {type(text).__name__}")
        if len(ids) != len(texts):
            raise ValueError(f"{len(ids)} ids for {len(texts)} models")
        return cls(tuple(ids), aliases, upstreams, defaults, [*texts])

    def to_plain(self) -> dict[str, Any]:
        """The list as JSON values; each model is a text of its own."""
        return {
            "ids": self.ids,
            "aliases": self.aliases,
            "upstreams": sorted(self.upstreams),
            "defaults": sorted(self.defaults),
            "models": [_text(entry) for entry in self._entries],
        }

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[Model]:
        found = (self.model(place) for place in range(len(self)))
        return (model for model in found if model is not None)

    def model(self, place: int) -> Model | None:
        """The model at this place, or None if its text is damaged."""
        entry = self._entries[place]
        if isinstance(entry, str):
            entry = self._entries[place] = _model(entry, self.ids[place])
        return entry

    def default_models(self) -> list[Model]:
        """The models that serve when none is named."""
        if not self.defaults:
            return []
        places = [place for place, name in enumerate(self.ids) if name in self.defaults]
        return [model for place in places if (model := self.model(place)) is not None and model.default]

    def without(self, gone: Model) -> ModelList:
        """The list but for what has this model's key."""
        out = {place for place, name in enumerate(self.ids) if name == gone.id and self.has(gone, place)}
        if not out:
            return self
        ids = tuple(name for place, name in enumerate(self.ids) if place not in out)
        aliases = tuple(pair for pair in self.aliases if pair[1] != gone.id or gone.id in ids)
        entries = [entry for place, entry in enumerate(self._entries) if place not in out]
        return ModelList(ids, aliases, self.upstreams, self.defaults, entries)

    def has(self, other: Model, place: int) -> bool:
        """Whether the model at this place has the other's key."""
        model = self.model(place)
        return model is not None and model.key == other.key


_encode = json.JSONEncoder(separators=(",", ":")).encode


def _text(entry: Model | str | None) -> str:
    return _encode(model_to_plain(entry)) if isinstance(entry, Model) else entry or ""


def _model(text: str, id: str) -> Model | None:
    try:
        model = model_from_plain(json.loads(text))
        if model.id == id:
            return model
    except (ValueError, TypeError, AttributeError, RecursionError):
        pass
    import logging

    logging.getLogger("plugmux").warning("what the cache keeps of the model %.100r is damaged", id)
    return None


def _default_of(attribute: attrs.Attribute[Any]) -> Any:
    factory = getattr(attribute.default, "factory", None)
    return factory() if factory is not None else attribute.default


_DEFAULTS = {attribute.name: _default_of(attribute) for attribute in attrs.fields(Model)}


def model_to_plain(model: Model) -> dict[str, Any]:
    """A model as JSON values, defaults left out."""
    plain: dict[str, Any] = {}
    for name, default in _DEFAULTS.items():
        value = getattr(model, name)
        if value == default or (name == "remote_id" and value == model.id):
            continue
        if isinstance(value, frozenset):
            value = sorted(value)
        plain[name] = attrs.asdict(value) if isinstance(value, Pricing) else value
    return plain


def model_from_plain(plain: Mapping[str, Any]) -> Model:
    """The inverse. Raises ValueError or TypeError for what is no model."""
    facts = dict(plain)
    if facts.get("pricing") is not None:
        facts["pricing"] = Pricing(**facts["pricing"])
    if "auth" in facts:
        facts["auth"] = Auth(facts["auth"])
    return Model(**facts)
