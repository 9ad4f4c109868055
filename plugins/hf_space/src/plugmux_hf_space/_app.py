"""A Gradio app as it describes itself: `/config` and `/info` become values.

Shapes are those of recorded answers of gradio 4.44, 5.50 and 6.31. What a version does not send is read
as its default; what makes no sense raises MalformedResponseError.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen

from plugmux.errors import MalformedResponseError, ModelNotFoundError

__all__ = ["App", "Component", "Endpoint", "Slot", "app_of", "base_of", "prefix_of"]

PROTOCOLS = frozenset({"sse_v1", "sse_v2", "sse_v2.1", "sse_v3"})


@frozen(kw_only=True)
class Component:
    """One component of the page. `kind` is its type in lower case; `hidden`: the API leaves it out."""

    id: int
    kind: str
    label: str = ""
    props: Mapping[str, Any] = field(factory=dict, repr=False)
    hidden: bool = False

    @property
    def is_state(self) -> bool:
        return self.kind == "state"


@frozen(kw_only=True)
class Slot:
    """One place of an endpoint's `data`.

    `name` is the parameter's, None for what the API hides (State, buttons). `default` counts only where
    `has_default`; it is the component's value, which may differ from the function's own default.
    """

    component: Component
    name: str | None = None
    label: str = ""
    has_default: bool = False
    default: Any = None
    schema: Mapping[str, Any] = field(factory=dict, repr=False)

    @property
    def kind(self) -> str:
        return self.component.kind


@frozen(kw_only=True)
class Endpoint:
    """One function of the app. `outputs` are all components it fills, hidden ones included.

    `triggers` are the kinds of event that start it; `after` is the endpoint it follows, by its id.
    """

    id: int
    name: str
    slots: tuple[Slot, ...] = ()
    outputs: tuple[Component, ...] = ()
    triggers: frozenset[str] = frozenset()
    after: int | None = None
    streams: bool = False
    runs: bool = True
    public: bool = True
    described: bool = True

    @property
    def visible(self) -> tuple[Slot, ...]:
        """The slots that are parameters."""
        return tuple(slot for slot in self.slots if slot.name is not None)

    @property
    def shape(self) -> str:
        """All that a caller depends on, as text."""
        facts = [
            [slot.name, slot.kind, slot.has_default, _bounds(slot.component), sorted(map(str, _enum(slot)))]
            for slot in self.slots
        ]
        return json.dumps([self.name, facts, [output.kind for output in self.outputs]], default=str)


@frozen(kw_only=True)
class App:
    """A Gradio app. `url` has no slash at its end, `prefix` stands before the API's paths."""

    url: str
    version: str
    protocol: str
    prefix: str = ""
    title: str = ""
    mode: str = "blocks"
    run_id: str = ""
    """Changes when the app is started anew: sessions of another one are gone."""
    space: str | None = None
    max_file_size: int | None = None
    endpoints: tuple[Endpoint, ...] = ()

    @property
    def major(self) -> int:
        found = re.match(r"\d+", self.version)
        return int(found[0]) if found else 0

    @property
    def candidates(self) -> tuple[Endpoint, ...]:
        """What may be called: public functions that run on the server and are described."""
        return tuple(e for e in self.endpoints if e.public and e.runs and e.described)

    @property
    def signature(self) -> str:
        """Changes exactly when a caller of the app would notice."""
        shapes = sorted(endpoint.shape for endpoint in self.candidates)
        return hashlib.sha256("\n".join([str(self.major), *shapes]).encode()).hexdigest()[:16]

    def at(self, path: str) -> str:
        """The address of one of the API's routes."""
        return f"{self.url}{self.prefix}{path}"


def app_of(url: str, config: object, info: object) -> App:
    """The app that `/config` and `/info` describe.

    Raises MalformedResponseError for what is no description, ModelNotFoundError for a gradio that is
    too old to be spoken to.
    """
    if not isinstance(config, Mapping) or not isinstance(config.get("dependencies"), list):
        raise MalformedResponseError("not a Gradio app: its /config describes none")
    named = info.get("named_endpoints") if isinstance(info, Mapping) else None
    protocol = _protocol(config)
    try:
        components = {c.id: c for c in map(_component, _records(config.get("components")))}
        rows = list(enumerate(_records(config["dependencies"])))
        endpoints = tuple(_endpoint(place, row, components, _table(named)) for place, row in rows)
    except (KeyError, TypeError, ValueError) as error:
        raise MalformedResponseError(f"the app describes itself in an unknown way: {error!r}") from error
    size = config.get("max_file_size")
    return App(
        url=url,
        version=str(config.get("version") or "?"),
        protocol=protocol,
        prefix=prefix_of(config),
        title=str(config.get("title") or ""),
        mode=str(config.get("mode") or "blocks"),
        run_id=str(config.get("app_id") or ""),
        space=config.get("space_id") if isinstance(config.get("space_id"), str) else None,
        max_file_size=size if isinstance(size, int) and size > 0 else None,
        endpoints=endpoints,
    )


def prefix_of(config: object) -> str:
    """`api_prefix`: `/gradio_api` from gradio 5 on, nothing before (recorded)."""
    prefix = config.get("api_prefix") if isinstance(config, Mapping) else None
    return "/" + prefix.strip("/") if isinstance(prefix, str) and prefix.strip("/") else ""


def base_of(config_url: str, asked: str) -> str:
    """The app's address: where `/config` was found in the end, since redirected POSTs lose their body."""
    return config_url.removesuffix("/config") if config_url.endswith("/config") else asked


def _protocol(config: Mapping[str, Any]) -> str:
    protocol = str(config.get("protocol") or "ws")
    if protocol not in PROTOCOLS:
        version = config.get("version") or "?"
        raise ModelNotFoundError(
            f"gradio too old: the app runs gradio {version} ({protocol}); 4.9 and newer are spoken to",
            code="gradio-too-old",
        )
    return protocol


def _component(row: Mapping[str, Any]) -> Component:
    props = row.get("props")
    props = props if isinstance(props, Mapping) else {}
    kind = str(row.get("type") or "").lower()
    return Component(
        id=int(row["id"]),
        kind=kind,
        label=str(props.get("label") or ""),
        props=props,
        hidden=bool(row.get("skip_api")) or kind == "state",
    )


def _endpoint(
    place: int, row: Mapping[str, Any], components: Mapping[int, Component], named: Mapping[str, Any]
) -> Endpoint:
    name = row.get("api_name")
    name = name if isinstance(name, str) else ""
    described = named.get(f"/{name}")
    inputs = [components[i] for i in row.get("inputs") or ()]
    kinds = row.get("types")
    number = row.get("id")
    return Endpoint(
        id=number if isinstance(number, int) else place,
        name=name,
        slots=_slots(inputs, described),
        outputs=tuple(components[i] for i in row.get("outputs") or ()),
        triggers=frozenset(str(target[1]) for target in row.get("targets") or () if len(target) > 1),
        after=row.get("trigger_after"),
        streams=bool(isinstance(kinds, Mapping) and kinds.get("generator")),
        runs=bool(row.get("backend_fn", True)),
        public=_is_public(row),
        described=isinstance(described, Mapping) and _matches(inputs, described),
    )


def _is_public(row: Mapping[str, Any]) -> bool:
    """gradio 6 says `api_visibility`, before it `show_api` and an `api_name` of false (recorded)."""
    if "api_visibility" in row:
        return bool(row["api_visibility"] == "public")
    return bool(row.get("show_api", True)) and isinstance(row.get("api_name"), str)


def _matches(inputs: Sequence[Component], described: Mapping[str, Any]) -> bool:
    return len([c for c in inputs if not c.hidden]) == len(described.get("parameters") or ())


def _slots(inputs: Sequence[Component], described: object) -> tuple[Slot, ...]:
    rows = list(_records(described.get("parameters"))) if isinstance(described, Mapping) else []
    waiting = iter(rows if isinstance(described, Mapping) and _matches(inputs, described) else ())
    slots = []
    for component in inputs:
        row = None if component.hidden else next(waiting, None)
        slots.append(Slot(component=component) if row is None else _slot(component, row))
    return tuple(slots)


def _slot(component: Component, row: Mapping[str, Any]) -> Slot:
    return Slot(
        component=component,
        name=str(row.get("parameter_name") or row.get("label") or f"parameter_{component.id}"),
        label=str(row.get("label") or ""),
        has_default=bool(row.get("parameter_has_default")),
        default=row.get("parameter_default"),
        schema=_table(row.get("type")),
    )


def _bounds(component: Component) -> list[Any]:
    return [component.props.get(name) for name in ("minimum", "maximum", "step", "precision")]


def _enum(slot: Slot) -> Sequence[Any]:
    values = slot.schema.get("enum")
    return values if isinstance(values, list) else ()


def _records(rows: object) -> list[Mapping[str, Any]]:
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
