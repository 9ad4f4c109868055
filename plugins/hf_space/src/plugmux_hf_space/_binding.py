"""A request's options into an endpoint's `data`: every slot filled, and everything that did not fit said."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define, field, frozen

from plugmux.errors import InvalidRequestError
from plugmux.events import Notice
from plugmux.model import Task
from plugmux_hf_space._app import Slot
from plugmux_hf_space._settings import Override
from plugmux_hf_space._tasks import History, Verdict
from plugmux_hf_space._values import MisfitError, fit, unset

__all__ = ["Bound", "Given", "bind"]

MAX_SIDE = 100_000


@frozen(kw_only=True)
class Given:
    """What a request brings, files already at the app (`FileData` values), text already flat.

    `options` are the given ones by name, without prompt, image and audio. `extra` are the app's own
    parameters by name. `history` is the value of a Chatbot.
    """

    prompt: str = ""
    options: Mapping[str, Any] = field(factory=dict)
    images: Sequence[Mapping[str, Any]] = ()
    audio: Mapping[str, Any] | None = None
    history: Sequence[Any] | None = None
    extra: Mapping[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class Bound:
    """The `data` to send, and what has to be said about it."""

    data: tuple[Any, ...]
    notices: tuple[Notice, ...] = ()


def bind(verdict: Verdict, task: Task, given: Given, override: Override | None = None) -> Bound:
    """Fill every slot. Raises InvalidRequestError naming the parameter that is missing."""
    filling = _Filling(verdict=verdict, given=given, override=override or Override())
    filling.fill(task)
    return Bound(data=tuple(filling.data), notices=tuple(filling.notices))


@define(kw_only=True)
class _Filling:
    """One `data` in the making."""

    verdict: Verdict
    given: Given
    override: Override
    data: list[Any] = field(factory=list)
    notices: list[Notice] = field(factory=list)

    def fill(self, task: Task) -> None:
        slots = self.verdict.endpoint.slots
        self.data = [_untouched(slot) for slot in slots]
        for i, slot in enumerate(slots):
            if slot.kind == "chatbot" and self.verdict.history is History.REQUEST:
                self.data[i] = list(self.given.history or ())
        self._prompt()
        self._files(task)
        self._options()
        self._own_parameters()

    def _put(self, option: str, value: Any) -> bool:
        """Put a value where the option goes; False if it goes nowhere or does not fit."""
        slot = self.verdict.slot(option)
        if slot is None:
            return False
        try:
            fitted = fit(slot, value)
        except MisfitError as misfit:
            self._say("option-ignored", option, f"{slot.name}: {misfit}; its default is sent")
            return True
        if _differs(fitted, value):
            self._say("option-adjusted", option, f"{value!r} became {fitted!r}: {_limits(slot)}")
        self.data[self.verdict.options[option]] = fitted
        return True

    def _prompt(self) -> None:
        slot = self.verdict.slot("prompt")
        if slot is None:
            return
        value: Any = self.given.prompt
        if slot.kind == "multimodaltextbox":
            value = {"text": value, "files": list(self.given.images)}
        self.data[self.verdict.options["prompt"]] = value

    def _files(self, task: Task) -> None:
        slot = self.verdict.slot("image")
        if slot is not None and slot.kind != "multimodaltextbox":
            self._image(slot, task)
        elif slot is None and self.given.images:
            self._say("option-ignored", "image", "the app takes no image")
        if self.verdict.slot("audio") is not None:
            if self.given.audio is None and not self._has_default("audio"):
                raise _missing(self.verdict.slot("audio"), "audio")
            if self.given.audio is not None:
                self.data[self.verdict.options["audio"]] = self.given.audio
        elif self.given.audio is not None:
            self._say("option-ignored", "audio", "the app takes no sound")

    def _image(self, slot: Slot, task: Task) -> None:
        images = self.given.images
        if not images:
            needed = task in (Task.IMAGE_TO_IMAGE, Task.IMAGE_TO_VIDEO) or not slot.has_default
            if needed and "image" not in self.override.values:
                raise _missing(slot, "image")
            return
        self.data[self.verdict.options["image"]] = _image_value(slot, images)
        if len(images) > 1 and slot.kind != "gallery":
            self._say("option-ignored", "image", "the app takes one image: only the first is sent")

    def _has_default(self, option: str) -> bool:
        slot = self.verdict.slot(option)
        return slot is not None and slot.has_default and slot.default is not None

    def _options(self) -> None:
        options = dict(self.given.options)
        if "aspect_ratio" in options and "aspect_ratio" not in self.verdict.options:
            options = self._as_size(options)
        for option, value in options.items():
            if not self._put(option, value):
                self._say("option-ignored", option, f"the app has no parameter for {option}")
        if "seed" in options and "seed" in self.verdict.options:
            self._put("randomize_seed", False)
        if "n" in self.verdict.options and "n" not in options:
            self.data[self.verdict.options["n"]] = _one(self.verdict.slot("n"))

    def _as_size(self, options: dict[str, Any]) -> dict[str, Any]:
        """Width and height for an aspect ratio, with as many pixels as the app's own default."""
        ratio = re.fullmatch(r"(\d+(?:\.\d+)?)[:x/](\d+(?:\.\d+)?)", str(options["aspect_ratio"]).strip())
        sizes = [slot.default if (slot := self.verdict.slot(name)) else None for name in ("width", "height")]
        usable = all(isinstance(size, int | float) and 0 < size < MAX_SIDE for size in sizes)
        if ratio is None or not usable or {"width", "height"} & set(options):
            return options
        del options["aspect_ratio"]
        wide = float(ratio[1]) / (float(ratio[2]) or 1.0)
        area = float(sizes[0]) * float(sizes[1])  # type: ignore[arg-type]
        for name, size in (("width", math.sqrt(area * wide)), ("height", math.sqrt(area / (wide or 1.0)))):
            slot = self.verdict.slot(name)
            if slot is not None:
                self.data[self.verdict.options[name]] = fit(slot, round(size))
        return options

    def _own_parameters(self) -> None:
        """The override's fixed values, then what the caller gave for the app's own parameters."""
        names = {slot.name: i for i, slot in enumerate(self.verdict.endpoint.slots) if slot.name}
        for name, value in self.override.values.items():
            if name in names:
                self.data[names[name]] = value
        for name, value in self.given.extra.items():
            if name not in names:
                known = ", ".join(sorted(names))
                self._say("option-ignored", "extra_body", f"no parameter {name!r}; there are {known}")
                continue
            try:
                self.data[names[name]] = fit(self.verdict.endpoint.slots[names[name]], value)
            except MisfitError as misfit:
                self._say("option-ignored", "extra_body", f"{name}: {misfit}; its default is sent")

    def _say(self, code: str, option: str, message: str) -> None:
        self.notices.append(Notice(code=code, option=option, message=message))


def _untouched(slot: Slot) -> Any:
    """State goes as null (the server fills it in), buttons and their like as they stand."""
    if slot.name is not None:
        return unset(slot)
    return None if slot.component.is_state else slot.component.props.get("value")


def _image_value(slot: Slot, images: Sequence[Mapping[str, Any]]) -> Any:
    match slot.kind:
        case "gallery":
            return [{"image": dict(image), "caption": None} for image in images]
        case "imageeditor":
            return {"background": dict(images[0]), "layers": [], "composite": dict(images[0])}
    return dict(images[0])


def _one(slot: Slot | None) -> Any:
    """One result a call: the core fans `n` out."""
    try:
        return fit(slot, 1) if slot is not None else 1
    except MisfitError:
        return unset(slot) if slot is not None else 1


def _differs(fitted: Any, value: Any) -> bool:
    if isinstance(fitted, int | float) and isinstance(value, int | float):
        return abs(float(fitted) - float(value)) > 1e-9
    return False


def _limits(slot: Slot) -> str:
    props = slot.component.props
    said = [f"{name} {props[name]}" for name in ("minimum", "maximum", "step") if props.get(name) is not None]
    return f"{slot.name} has {', '.join(said)}" if said else f"{slot.name} takes whole numbers"


def _missing(slot: Slot | None, option: str) -> InvalidRequestError:
    name = slot.name if slot is not None else option
    return InvalidRequestError(
        f"the app wants {option} (its parameter {name!r})", param=option, code="missing"
    )
