"""One value into one parameter: within its bounds, on its steps, among its choices.

gradio 5 and 6 answer a value out of bounds with an error, 4.44 takes it in silence (recorded): so it is
brought into the bounds here, and the caller is told.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from plugmux_hf_space._app import Slot

__all__ = ["MisfitError", "choices_of", "fit", "unset"]


class MisfitError(ValueError):
    """A value that a parameter cannot take. The text says what it can."""


def fit(slot: Slot, value: Any) -> Any:
    """The value as the parameter takes it, a list where it takes several. Raises MisfitError."""
    if not _takes_several(slot):
        return _fit_one(slot, value)
    given = value if isinstance(value, list | tuple) else [] if value is None else [value]
    return [_fit_one(slot, item) for item in given]


def _takes_several(slot: Slot) -> bool:
    return slot.kind == "checkboxgroup" or (
        slot.kind == "dropdown" and bool(slot.component.props.get("multiselect"))
    )


def _fit_one(slot: Slot, value: Any) -> Any:
    choices = choices_of(slot)
    if choices:
        return _choice(choices, value, free=bool(slot.component.props.get("allow_custom_value")))
    match slot.kind:
        case "slider" | "number":
            return _number(slot, value)
        case "checkbox":
            return _switched(value)
        case "textbox" | "code" | "markdown":
            return str(value)
    return value


def unset(slot: Slot) -> Any:
    """What goes into a parameter that nobody filled: its default, else what an untouched page sends."""
    if slot.has_default:
        return slot.default
    if _takes_several(slot):
        return []
    match slot.kind:
        case "textbox" | "code":
            return ""
        case "checkbox":
            return False
        case "chatbot" | "gallery":
            return []
        case "multimodaltextbox":
            return {"text": "", "files": []}
    return None


def choices_of(slot: Slot) -> list[tuple[str, Any]]:
    """Label and value of each choice, for components that offer a choice."""
    if slot.kind not in ("dropdown", "radio", "checkboxgroup"):
        return []
    given = slot.component.props.get("choices")
    rows = given if isinstance(given, list) else slot.schema.get("enum")
    found = []
    for row in rows if isinstance(rows, list) else ():
        pair = row if isinstance(row, list | tuple) and len(row) == 2 else (row, row)
        found.append((str(pair[0]), pair[1]))
    return found


def _choice(choices: Sequence[tuple[str, Any]], value: Any, *, free: bool) -> Any:
    for label, choice in choices:
        if value in (choice, label):
            return choice
    wanted = _folded(value)
    for label, choice in choices:
        if wanted in (_folded(choice), _folded(label)):
            return choice
    starting = [choice for label, choice in choices if _starts(label, wanted) or _starts(choice, wanted)]
    if len(starting) == 1:
        return starting[0]
    if free:
        return value
    shown = ", ".join(repr(choice) for _, choice in choices[:12])
    raise MisfitError(f"{value!r} is not among its choices: {shown}{' …' if len(choices) > 12 else ''}")


def _folded(value: object) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text.strip().casefold()


def _starts(choice: object, wanted: str) -> bool:
    """`16:9` means `16:9 (1344×768)`, and `5` means `5s`; `1` does not mean `16:9`."""
    return bool(wanted) and bool(
        re.match(rf"{re.escape(wanted)}(?![\w:.])|{re.escape(wanted)}s\b", _folded(choice))
    )


def _switched(value: Any) -> bool:
    """On or off; a setting or a command line may say it in words."""
    if not isinstance(value, str):
        return bool(value)
    word = value.strip().lower()
    if word not in _ON | _OFF:
        raise MisfitError(f"{value!r} is neither true nor false")
    return word in _ON


_ON = frozenset({"true", "yes", "on", "1"})
_OFF = frozenset({"false", "no", "off", "0", ""})


def _number(slot: Slot, value: Any) -> float | int:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise MisfitError(f"{value!r} is not a number") from error
    if not math.isfinite(number):
        raise MisfitError(f"{value!r} is not a finite number")
    props = slot.component.props
    low, high, step = (_bound(props.get(name)) for name in ("minimum", "maximum", "step"))
    number = number if low is None else max(low, number)
    number = number if high is None else min(high, number)
    if step is not None and step > 0 and slot.kind == "slider":
        number = _snapped(number, low or 0.0, high, step)
    return int(number) if _is_whole(slot, low, step) and number == int(number) else number


def _snapped(number: float, start: float, high: float | None, step: float) -> float:
    """The nearest step at or below `high`."""
    try:
        steps = round((number - start) / step)
    except OverflowError:
        return number
    if high is not None and start + steps * step > high + step * 1e-6:
        steps -= 1
    return round(start + steps * step, 10)


def _is_whole(slot: Slot, low: float | None, step: float | None) -> bool:
    if slot.kind == "number":
        return slot.component.props.get("precision") == 0 or slot.schema.get("type") == "integer"
    return step is not None and step == int(step) and (low is None or low == int(low))


def _bound(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if abs(value) < 1e15 else None
