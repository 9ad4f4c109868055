"""What an operation of a template will cost, told before it is done.

Most operations are linear in what they are given. Here stand those that are not: few characters that ask
for many (`'a' * 10 ** 9`, `center(10 ** 9)`), and few that ask for much time (`rfind`, `10 ** 10 ** 9`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence, Sized
from string import Formatter
from typing import Any

from plugmux_hf_inference._budget import ENTRY, Budget, LimitExceededError

__all__ = ["check_filter", "check_format", "check_method", "check_number", "check_operator", "made"]

Arguments = tuple[Any, ...]

MAX_BITS = 63  # whole numbers: larger ones are slow, and can be made to fall together in a dict
LINE_ENDS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
SPACES = LINE_ENDS + " \t\xa0\u3000"
DIRECTIVE = re.compile(r"%(?:\([^)]*\))?[#0\- +]*(\*|\d+)?(?:\.(\*|\d+))?")


def made(budget: Budget, result: Any) -> Any:
    """Charge what an operation has made, and refuse a huge number."""
    if isinstance(result, str | bytes):
        budget.make(len(result))
    elif isinstance(result, list | tuple | dict):
        budget.make(8 * len(result))
    return check_number(result)


def check_number(value: Any) -> Any:
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise LimitExceededError(f"a whole number of more than {MAX_BITS} bits")
    return value


def check_operator(budget: Budget, operator: str, left: Any, right: Any) -> None:
    """Charge `left operator right`."""
    if operator == "%" and isinstance(left, str):
        _check_percent(budget, left, right)
    elif operator == "*":
        _check_repetition(budget, left, right)
        _check_repetition(budget, right, left)
    elif operator == "**":
        _check_power(left, right)
    elif isinstance(left, str | list | tuple) and isinstance(right, str | list | tuple):
        budget.make(_bulk(left) + _bulk(right))
    else:
        budget.weigh(left)
        budget.weigh(right)


def check_method(budget: Budget, owner: Any, name: str, args: Arguments, kwargs: Mapping[str, Any]) -> None:
    """Charge a call of a method of a built-in type. Only the listed ones may be called."""
    kind = next((kind for kind in _METHODS if isinstance(owner, kind)), None)
    if kind is None or name not in _METHODS[kind]:
        raise LimitExceededError(f"{type(owner).__name__}.{name} may not be called by a template")
    given = sum(budget.weigh(arg) for arg in (*args, *kwargs.values()))
    if kind is not str:
        budget.spend(ENTRY * len(owner) if isinstance(owner, Sized) else ENTRY)
        if name in ("index", "count"):
            budget.weigh(owner)
        return
    budget.spend(len(owner))
    if name in _PRODUCT_METHODS and args:
        budget.spend(len(owner) * given)
    if check := _GROWING_METHODS.get(name):
        check(budget, owner, *args, **kwargs)


def check_filter(budget: Budget, name: str, args: Arguments, kwargs: Mapping[str, Any]) -> None:
    """Charge a filter; `args` begins with the value it is applied to."""
    if name in _SHALLOW_FILTERS:
        budget.spend(50 * len(args[0]) if isinstance(args[0], Sized) else ENTRY)
        if name in ("list", "batch", "slice") and isinstance(args[0], Sized):
            budget.make(ENTRY * len(args[0]))
    else:
        weight = sum(budget.weigh(arg) for arg in (*args, *kwargs.values()))
        budget.spend(3 * weight)
        if name in _PRODUCT_FILTERS:
            budget.spend(weight * weight)
    if check := _GROWING_FILTERS.get(name):
        check(budget, *args, **kwargs)


def check_format(budget: Budget, text: str, args: Arguments, kwargs: Mapping[str, Any]) -> None:
    """Charge `text.format(*args, **kwargs)`."""
    values = (*args, *kwargs.values())
    widest = sum(budget.weigh(value) for value in values)
    try:
        fields = [(field, spec or "") for _, field, spec, _ in Formatter().parse(text) if field is not None]
    except ValueError:
        return  # str.format will say so
    if any("{" in spec for _, spec in fields):
        widest += _largest(values)
    widths = sum(sum(map(_number, re.findall(r"\d+", spec))) for _, spec in fields)
    budget.make(len(text) + len(fields) * widest + widths)


def _check_percent(budget: Budget, text: str, given: Any) -> None:
    weight = budget.weigh(given)
    found = DIRECTIVE.findall(text)
    words = [word for pair in found for word in pair if word]
    if "*" in words:
        weight += _largest(given if isinstance(given, tuple) else (given,))
    widths = sum(_number(word) for word in words if word != "*")
    budget.make(len(text) + len(found) * weight + widths)


def _check_repetition(budget: Budget, value: Any, times: Any) -> None:
    if isinstance(value, str | list | tuple) and isinstance(times, int):
        budget.make(_bulk(value) * max(times, 0))


def _check_power(base: Any, exponent: Any) -> None:
    whole = isinstance(base, int) and isinstance(exponent, int) and abs(base) > 1
    if whole and base.bit_length() * exponent > 2 * MAX_BITS:
        raise LimitExceededError(f"a power of more than {MAX_BITS} bits")


def _bulk(value: Sequence[Any]) -> int:
    return len(value) if isinstance(value, str) else 8 * len(value)


def _largest(values: Sequence[Any]) -> int:
    return max((abs(value) for value in values if isinstance(value, int)), default=0)


def _number(digits: str) -> int:
    if len(digits) > 12:
        raise LimitExceededError(f"a width of {len(digits)} digits")
    return int(digits)


def _width(budget: Budget, text: Any, width: Any = 80, *_: Any, **__: Any) -> None:
    if isinstance(width, int):
        budget.make(max(len(text) if isinstance(text, str) else 0, width))


def _replaced(budget: Budget, text: Any, old: Any = "", new: Any = "", count: Any = None, *_: Any) -> None:
    text, old, new = str(text), str(old), str(new)
    times = text.count(old)
    if isinstance(count, int) and count >= 0:
        times = min(times, count)
    budget.make(len(text) + times * max(len(new) - len(old), 0))


def _joined(budget: Budget, separator: str, items: Any, *_: Any) -> None:
    if isinstance(items, Sized):
        budget.make(budget.weigh(items) + len(separator) * len(items))


def _join_filter(budget: Budget, items: Any, d: Any = "", attribute: Any = None) -> None:
    if isinstance(items, Sized):
        budget.make(budget.weigh(items) + budget.weigh(d) * len(items))


def _tabs(budget: Budget, text: str, tabsize: Any = 8) -> None:
    if isinstance(tabsize, int):
        budget.make(len(text) + text.count("\t") * max(tabsize, 0))


def _translated(budget: Budget, text: str, table: Any = None, *_: Any) -> None:
    widest = max((len(value) for value in table.values() if isinstance(value, str)), default=1)
    budget.make(len(text) * widest)


def _pieces(budget: Budget, text: str, sep: Any = None, maxsplit: Any = -1) -> None:
    if isinstance(maxsplit, int) and 0 <= maxsplit < 1000:
        return
    times = text.count(sep) if isinstance(sep, str) and sep else sum(map(text.count, SPACES))
    budget.make(ENTRY * times + len(text))


def _lines(budget: Budget, text: str, *_: Any, **__: Any) -> None:
    budget.make(ENTRY * sum(map(text.count, LINE_ENDS)) + len(text))


def _indented(
    budget: Budget, text: Any, width: Any = 4, first: Any = False, blank: Any = False, **_: Any
) -> None:
    size = len(width) if isinstance(width, str) else width
    if isinstance(size, int):
        budget.make(max(size, 0) * (sum(map(str(text).count, LINE_ENDS)) + 2))


def _trimmed(budget: Budget, text: Any, chars: Any = None) -> None:
    if isinstance(text, str) and isinstance(chars, str):
        budget.spend(len(text) * len(chars))


def _tojson(
    budget: Budget,
    value: Any,
    ensure_ascii: Any = False,
    indent: Any = None,
    separators: Any = None,
    **_: Any,
) -> None:
    weight = budget.weigh(value)
    depth = budget.limits.depth if isinstance(value, Mapping | list | tuple) else 1
    step = len(indent) if isinstance(indent, str) else indent
    if isinstance(step, int) and step > 8:
        budget.make((1 + weight // ENTRY) * step * depth)
    if separators:
        budget.make((1 + weight // ENTRY) * budget.weigh(separators))


def _rounded(budget: Budget, value: Any, precision: Any = 0, *_: Any, **__: Any) -> None:
    if isinstance(precision, int) and abs(precision) > 300:
        raise LimitExceededError(f"rounding to {precision} places")


def _summed(budget: Budget, items: Any, *_: Any, **__: Any) -> None:
    # Lists are added up one by one, each time copying all that came before.
    count = len(items) if isinstance(items, Sized) else 0
    budget.spend(count * count)
    if count and isinstance(items, list | tuple) and any(isinstance(item, list | tuple) for item in items):
        budget.spend(count * budget.weigh(items))


def _filled(budget: Budget, items: Any, linecount: Any = 1, *_: Any, **__: Any) -> None:
    if isinstance(linecount, int):
        budget.make(8 * max(linecount, 0))


def _percent_filter(budget: Budget, text: Any, *args: Any, **kwargs: Any) -> None:
    _check_percent(budget, str(text), kwargs or args)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_METHODS: dict[type, frozenset[str]] = {
    str: _words(
        """capitalize casefold center count encode endswith expandtabs find index isalnum isalpha isascii
        isdecimal isdigit isidentifier islower isnumeric isprintable isspace istitle isupper join ljust lower
        lstrip partition removeprefix removesuffix replace rfind rindex rjust rpartition rsplit rstrip split
        splitlines startswith strip swapcase title translate upper zfill striptags unescape"""
    ),
    bytes: frozenset({"decode", "hex"}),
    bytearray: frozenset(),
    dict: frozenset({"copy", "get", "items", "keys", "values"}),
    list: frozenset({"copy", "count", "index"}),
    tuple: frozenset({"count", "index"}),
    range: frozenset({"count", "index"}),
    int: frozenset({"bit_length", "bit_count", "conjugate", "is_integer"}),
    float: frozenset({"is_integer", "conjugate", "hex"}),
}
_PRODUCT_METHODS = frozenset(
    {"strip", "lstrip", "rstrip", "rfind", "rindex", "rpartition", "rsplit", "striptags"}
)
_GROWING_METHODS: dict[str, Callable[..., None]] = {
    "center": _width,
    "ljust": _width,
    "rjust": _width,
    "zfill": _width,
    "expandtabs": _tabs,
    "replace": _replaced,
    "join": _joined,
    "translate": _translated,
    "split": _pieces,
    "rsplit": _pieces,
    "splitlines": _lines,
}
_SHALLOW_FILTERS = _words(
    """attr batch count d default first items last length list map reject rejectattr reverse safe select
    selectattr slice"""
)
_PRODUCT_FILTERS = frozenset({"pprint", "striptags", "urlize", "wordwrap", "xmlattr"})
_GROWING_FILTERS: dict[str, Callable[..., None]] = {
    "batch": _filled,
    "center": _width,
    "format": _percent_filter,
    "indent": _indented,
    "join": _join_filter,
    "replace": _replaced,
    "round": _rounded,
    "sum": _summed,
    "tojson": _tojson,
    "trim": _trimmed,
}
