"""The model map as a value: which models there are, and which of them a name means.

Nothing here does I/O. A name means, in this order: an exact id; the user's own alias; a plugin's alias;
the one id that equals it but for case; the one id whose short name it is. A name with a slash is never an
alias of the user's or a short name. What is ambiguous is listed, not guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

from plugmux.model import Model
from plugmux.modellist import ModelList
from plugmux.names import UPSTREAMS, short_name

__all__ = ["ModelMap", "Resolved"]

LIKELY = 50
"""So many names are compared letter by letter with an unknown one."""


class Resolved(NamedTuple):
    """What a name means: one id, several that it could mean, or neither."""

    id: str | None = None
    ambiguous: tuple[str, ...] = ()
    alias: str | None = None


class ModelMap:
    """All known models, indexed: those of `lists`, then `models`. Immutable.

    An index is made when it is first needed, and a kept model when somebody asks for its id.
    """

    def __init__(
        self,
        models: Iterable[Model] = (),
        aliases: Mapping[str, str] | None = None,
        *,
        lists: Iterable[ModelList] = (),
    ) -> None:
        self._lists = (*lists, ModelList.of(models))
        self._aliases = dict(aliases or {})
        self._by_id: dict[str, list[tuple[ModelList, int]]] = {}
        for one in self._lists:
            for place, name in enumerate(one.ids):
                self._by_id.setdefault(name, []).append((one, place))

    def __len__(self) -> int:
        return sum(map(len, self._lists))

    def __bool__(self) -> bool:
        return bool(self._by_id)

    @cached_property
    def models(self) -> tuple[Model, ...]:
        """Every entry."""
        return tuple(model for one in self._lists for model in one)

    def defaults(self) -> list[Model]:
        """Every entry that serves when no model is named."""
        return [model for one in self._lists for model in one.default_models()]

    @cached_property
    def upstreams(self) -> frozenset[str]:
        """The suffixes of a name that mean an upstream."""
        return UPSTREAMS.union(*(one.upstreams for one in self._lists))

    def of(self, id: str) -> list[Model]:
        """Every provider's entry for an id."""
        found = (one.model(place) for one, place in self._by_id.get(id, ()))
        return [model for model in found if model is not None]

    def without(self, gone: Model) -> ModelMap:
        """The map but for what has this model's key. Cheap: a request waits for it."""
        left = [(one, place) for one, place in self._by_id.get(gone.id, ()) if not one.has(gone, place)]
        less = ModelMap(aliases=self._aliases)
        less._lists = tuple(one.without(gone) for one in self._lists)
        less._by_id = {**self._by_id, gone.id: left}
        if not left:
            del less._by_id[gone.id]
        return less

    def having(self, models: Iterable[Model]) -> ModelMap:
        """The map with these too, where it has nothing of their keys. Cheap: a request waits for it."""
        new = [model for model in dict.fromkeys(models) if not self._has(model)]
        if not new:
            return self
        added = ModelList.of(new)
        more = ModelMap(aliases=self._aliases)
        more._lists = (*self._lists, added)
        more._by_id = dict(self._by_id)
        for place, name in enumerate(added.ids):
            more._by_id[name] = [*more._by_id.get(name, ()), (added, place)]
        return more

    def _has(self, model: Model) -> bool:
        return any(one.has(model, place) for one, place in self._by_id.get(model.id, ()))

    def resolve(self, name: str) -> Resolved:
        """What `name` means here."""
        if name in self._by_id:
            return Resolved(name)
        if name in self._aliases and "/" not in name:
            target = self._aliases[name]
            return Resolved(target, alias=name)
        for ids in self._meanings(name):
            if ids:
                found = tuple(sorted(ids))
                return Resolved(found[0], alias=name) if len(found) == 1 else Resolved(ambiguous=found)
        return Resolved()

    def near(self, name: str, count: int = 4) -> list[str]:
        """Known names closest to `name`."""
        import difflib

        short = {key: next(iter(ids)) for key, ids in self._short.items()}
        names = [*short, *self._plugin_aliases, *self._aliases]
        wanted = short_name(name)
        close = difflib.get_close_matches(wanted, _likely(wanted, names), count, cutoff=0.6)
        if len(close) < count and len(wanted) > 2:
            close += [key for key in names if wanted in key and key not in close]
        return list(dict.fromkeys(short.get(key, key) for key in close))[:count]

    def _meanings(self, name: str) -> Iterator[set[str]]:
        yield self._plugin_aliases.get(name, set())
        yield self._folded.get(name.casefold(), set())
        if "/" not in name:
            yield self._short.get(name.casefold(), set())

    @cached_property
    def _plugin_aliases(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for one in self._lists:
            for alias, name in one.aliases:
                found.setdefault(alias, set()).add(name)
        return found

    @cached_property
    def _folded(self) -> dict[str, set[str]]:
        return _grouped(self._by_id, str.casefold)

    @cached_property
    def _short(self) -> dict[str, set[str]]:
        """A Space is not the model that its name recalls."""
        return _grouped((name for name in self._by_id if not name.startswith("spaces/")), short_name)


def _grouped(ids: Iterable[str], key: Callable[[str], str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name in ids:
        found.setdefault(key(name), set()).add(name)
    return found


def _likely(wanted: str, names: Sequence[str]) -> list[str]:
    """The names that share most pairs of letters with the wanted one: a cheap sieve for a dear comparison."""
    import heapq

    pairs = set(pairwise(wanted))

    def likeness(name: str) -> float:
        return len(pairs.intersection(pairwise(name))) / (len(pairs) + len(name))

    return heapq.nlargest(LIKELY, names, likeness)
