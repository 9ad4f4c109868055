"""Which version of plugmux a distribution asks for, read from its metadata before anything is imported."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["required_range", "satisfies"]


def required_range(requirements: Iterable[str], name: str = "plugmux") -> str | None:
    """The version range in a distribution's requirement on `name`; None if it has none."""
    for requirement in requirements:
        text, _, marker = requirement.partition(";")
        match = re.fullmatch(r"\s*([A-Za-z0-9._-]+)\s*(\[[^\]]*\])?\s*\(?([^()]*)\)?\s*", text)
        if match and re.sub(r"[-_.]+", "-", match[1]).lower() == name and "extra" not in marker:
            return match[3].strip()
    return None


def satisfies(version: str, wanted: str) -> bool:
    """Whether `version` lies in a range such as `>=0.1,<0.2`.

    Compares the numbers of the release only; a clause it cannot read counts as met, since refusing a
    plugin over it would be the greater harm.
    """
    own = _numbers(version)
    return all(_meets(own, clause.strip()) for clause in wanted.split(",") if clause.strip())


def _meets(own: tuple[int, ...], clause: str) -> bool:
    match = re.fullmatch(r"(===|==|!=|~=|>=|<=|>|<)\s*v?(\d+(?:\.\d+)*)(\.\*)?.*", clause)
    if match is None:
        return True
    operator, other = match[1], _numbers(match[2])
    size = max(len(own), len(other))
    mine, theirs = own + (0,) * (size - len(own)), other + (0,) * (size - len(other))
    same = own[: len(other)] == other if match[3] else mine == theirs
    match operator:
        case "==" | "===":
            return same
        case "!=":
            return not same
        case "~=":
            return mine >= theirs and own[: len(other) - 1] == other[:-1]
        case ">=":
            return mine >= theirs
        case "<=":
            return mine <= theirs
        case ">":
            return mine > theirs
        case _:
            return mine < theirs


def _numbers(version: str) -> tuple[int, ...]:
    match = re.match(r"v?(\d+(?:\.\d+)*)", version)
    return tuple(int(part) for part in match[1].split(".")) if match else ()
