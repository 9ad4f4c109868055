"""The model map as a value: which models there are, and which of them a name means.

Nothing here does I/O. A name means, in this order: an exact id; the user's own alias; a plugin's alias;
the one id that equals it but for case; the one id whose short name it is. A name with a slash is never an
alias of the user's or a short name. What is ambiguous is listed, not guessed.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs
from attrs import frozen

from plugmux.model import Auth, Model, Pricing
from plugmux.names import short_name

__all__ = ["ModelMap", "Resolved", "model_from_plain", "model_to_plain"]


@frozen
class Resolved:
    """What a name means: one id, several that it could mean, or neither."""

    id: str | None = None
    ambiguous: tuple[str, ...] = ()
    alias: str | None = None


class ModelMap:
    """All known models, indexed. Immutable."""

    def __init__(self, models: Iterable[Model] = (), aliases: Mapping[str, str] | None = None) -> None:
        self.models = tuple(models)
        self._aliases = dict(aliases or {})
        self._by_id: dict[str, list[Model]] = {}
        self._folded: dict[str, set[str]] = {}
        self._plugin_aliases: dict[str, set[str]] = {}
        self._short: dict[str, set[str]] = {}
        for model in self.models:
            self._add(model)

    def _add(self, model: Model) -> None:
        entries = self._by_id.setdefault(model.id, [])
        if not entries:
            self._folded.setdefault(model.id.casefold(), set()).add(model.id)
            if not model.id.startswith("spaces/"):  # a Space is not the model that its name recalls
                self._short.setdefault(short_name(model.id), set()).add(model.id)
        entries.append(model)
        for alias in model.aliases:
            self._plugin_aliases.setdefault(alias, set()).add(model.id)

    def __len__(self) -> int:
        return len(self.models)

    def of(self, id: str) -> Sequence[Model]:
        """Every provider's entry for an id."""
        return self._by_id.get(id, ())

    def resolve(self, name: str) -> Resolved:
        """What `name` means here."""
        if name in self._by_id:
            return Resolved(name)
        if name in self._aliases and "/" not in name:
            target = self._aliases[name]
            return Resolved(target, alias=name)
        for table, key in (
            (self._plugin_aliases, name),
            (self._folded, name.casefold()),
            (self._short, name.casefold()),
        ):
            ids = table.get(key)
            if ids and not (table is self._short and "/" in name):
                found = tuple(sorted(ids))
                return Resolved(found[0], alias=name) if len(found) == 1 else Resolved(ambiguous=found)
        return Resolved()

    def near(self, name: str, count: int = 4) -> list[str]:
        """Known names closest to `name`."""
        short = {key: next(iter(ids)) for key, ids in self._short.items()}
        names = [*short, *self._plugin_aliases, *self._aliases]
        wanted = short_name(name)
        close = difflib.get_close_matches(wanted, names, count, cutoff=0.6)
        if len(close) < count and len(wanted) > 2:
            close += [key for key in names if wanted in key and key not in close]
        return list(dict.fromkeys(short.get(key, key) for key in close))[:count]


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
