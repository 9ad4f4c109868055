"""jinja2's immutable sandbox, with a budget. Imported when the first template is rendered.

A chat template is a program from the Hub. The sandbox keeps it from Python's internals, but not from
looping for ever or printing gigabytes: so the code that templates compile to charges a `Budget` at every
statement, loop turn, call, filter, test, operator, comparison and output.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

from jinja2 import nodes
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context, Macro, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment, safe_range
from jinja2.utils import Namespace, pass_eval_context

from plugmux_hf_inference import _costs
from plugmux_hf_inference._budget import STEP, Budget
from plugmux_hf_inference._charged_calls import charge_output, charged_filters, charged_tests, drained
from plugmux_hf_inference._charged_code import ChargedCode

__all__ = ["TemplateEnvironment"]


class TemplateEnvironment(ImmutableSandboxedEnvironment):
    """The environment of one rendering, set up as the transformers library does (read in version 5.23)."""

    code_generator_class = ChargedCode
    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def __init__(self, budget: Budget, strftime_now: Callable[[str], str] = str) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,  # constants would be folded, without a budget, while compiling
            finalize=charge_output,
            extensions=[GenerationTag, "jinja2.ext.loopcontrols"],
        )
        self.budget = budget
        self.written = 0
        self.generation_spans: list[tuple[int, int]] = []
        self.filters |= charged_filters()
        self.tests |= charged_tests()
        self.globals |= {"dict": TemplateDict(), "namespace": TemplateNamespace}
        self.globals |= {"raise_exception": _raise_exception, "strftime_now": strftime_now}
        self.globals["range"] = _range
        del self.globals["lipsum"]

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805
        budget = __self.budget
        budget.spend(5 * STEP)
        named = {name: value for name, value in kwargs.items() if name not in _HIDDEN_ARGUMENTS}
        owner = getattr(__obj, "__self__", None)
        if isinstance(__obj, types.BuiltinMethodType) or isinstance(owner, str):
            args = drained(args)
            _costs.check_method(budget, owner, __obj.__name__, args, named)
        elif not isinstance(__obj, Macro):
            for value in (*args, *named.values()):
                budget.weigh(value)
        budget.enter()
        try:
            return _costs.made(budget, super().call(__context, __obj, *args, **kwargs))
        finally:
            budget.leave()

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        _costs.check_operator(self.budget, operator, left, right)
        return _costs.check_number(super().call_binop(context, operator, left, right))

    def getitem(self, obj: Any, argument: Any) -> Any:
        self.budget.spend(STEP)  # a filter may be told to look up thousands of attributes
        if type(argument) is not str:
            self.budget.weigh(argument)
        return super().getitem(obj, argument)

    def unsafe_undefined(self, obj: Any, attribute: str) -> Undefined:
        found = super().unsafe_undefined(obj, attribute)
        if attribute.startswith("_"):  # jinja would print nothing, and raise at the next step only
            raise SecurityError(found._undefined_message)
        return found

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        wrapped = super().wrap_str_format(value)
        if wrapped is None:
            return None

        def charged(*args: Any, **kwargs: Any) -> str:
            _costs.check_format(self.budget, value.__self__, args, kwargs)
            return wrapped(*args, **kwargs)

        return charged

    # What the generated code calls beside jinja's own methods:

    def weighed(self, value: Any) -> Any:
        self.budget.weigh(value)
        return value

    def concat_charged(self, join: Callable[[Any], str], parts: tuple[Any, ...]) -> str:
        self.budget.make(sum(self.budget.weigh(part) for part in parts))
        return join(parts)

    def sliced(self, value: Any, wanted: slice) -> Any:
        return _costs.made(self.budget, value[wanted])

    def tick(self) -> bool:
        return True  # the call itself has been charged


class GenerationTag(Extension):
    """`{% generation %}…{% endgeneration %}` marks what the model said; the spans are kept."""

    tags = {"generation"}  # noqa: RUF012
    environment: TemplateEnvironment

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("keep_span"), [], [], body).set_lineno(line)

    @pass_eval_context
    def keep_span(self, context: nodes.EvalContext, caller: Macro) -> str:
        text: str = caller()
        start = self.environment.written
        self.environment.generation_spans.append((start, start + len(text)))
        return text


class TemplateDict:
    """`dict(…)` of a template: makes one, and has nothing else to reach for."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict(*drained(args), **kwargs)

    def fromkeys(self, *args: Any) -> dict[Any, Any]:
        return dict.fromkeys(*drained(args))


class TemplateNamespace(Namespace):
    """`namespace(…)` of a template, without underscore names."""

    def __init__(*args: Any, **kwargs: Any) -> None:
        self, *given = args  # `namespace(self=…)` is allowed
        values = dict(*given, **kwargs)
        for name in values:
            _refuse_private(name)
        Namespace.__init__(self, values)

    def __setitem__(self, name: str, value: Any) -> None:
        _refuse_private(name)
        super().__setitem__(name, value)

    def __repr__(self) -> str:
        return "<Namespace>"  # its values were never weighed


def _refuse_private(name: object) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"a namespace takes no attribute {name!r}: it begins with an underscore")


def _range(*args: int) -> range:
    return safe_range(*map(_costs.check_number, args))


def _raise_exception(message: str) -> None:
    raise TemplateError(message)


_HIDDEN_ARGUMENTS = frozenset({"_block_vars", "_loop_vars"})  # jinja's own, in each call
