"""Jinja's filters and tests, each charged before it runs."""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from jinja2.filters import FILTERS
from jinja2.runtime import Context
from jinja2.tests import TESTS
from jinja2.utils import pass_context

from plugmux_hf_inference import _costs
from plugmux_hf_inference._budget import STEP, Budget

__all__ = ["charge_output", "charged_filters", "charged_tests", "drained"]


@pass_context
def charge_output(context: Context, value: Any) -> Any:
    budget = budget_of(context)
    budget.write(budget.weigh(value))
    return value


@cache
def charged_filters() -> dict[str, Callable[..., Any]]:
    known: dict[str, Callable[..., Any]] = {**FILTERS, "tojson": _tojson}
    return {name: _charged_filter(name, function) for name, function in known.items()}


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Plain JSON; jinja's own filter escapes it for HTML."""
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _charged_filter(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @pass_context  # this also keeps jinja from calling it on constants while it compiles
    def charged(context: Context, *args: Any, **kwargs: Any) -> Any:
        budget = budget_of(context)
        budget.spend(5 * STEP)
        args = drained(args) if name in _DRAINING else args
        _costs.check_filter(budget, name, args, kwargs)
        result = function(*_passed(function, context), *args, **kwargs)
        if isinstance(result, types.GeneratorType):
            return budget.ticking(result)
        return _costs.made(budget, result)

    return charged


@cache
def charged_tests() -> dict[str, Callable[..., Any]]:
    known: dict[str, Any] = dict(TESTS)
    return {name: _charged_test(name, function) for name, function in known.items()}


def _charged_test(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @pass_context
    def charged(context: Context, *args: Any, **kwargs: Any) -> Any:
        budget = budget_of(context)
        budget.spend(2 * STEP)
        if name not in _SHALLOW_TESTS:
            for value in (*args, *kwargs.values()):
                budget.weigh(value)
        return function(*_passed(function, context), *args, **kwargs)

    return charged


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_DRAINING = frozenset({"groupby", "join", "max", "min", "slice", "sort", "sum", "unique"})
_SHALLOW_TESTS = _words(
    """boolean callable defined escaped false filter float integer iterable mapping none number sameas
    sequence string test true undefined"""
)


def _passed(function: Callable[..., Any], context: Context) -> tuple[Any, ...]:
    """What jinja would put before the arguments of this function."""
    wish = getattr(function, "jinja_pass_arg", None)
    given = {"context": context, "eval_context": context.eval_ctx, "environment": context.environment}
    return () if wish is None else (given[wish.name],)


def drained(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Iterators as lists, as nobody can weigh an iterator."""
    return tuple(list(arg) if isinstance(arg, Iterator) else arg for arg in args)


def budget_of(context: Context) -> Budget:
    environment: Any = context.environment
    budget: Budget = environment.budget
    return budget
