"""Jinja's code generator, with charges between: what templates compile to pays as it runs.

The generated code reaches the budget through its `environment`, so the same code serves each rendering.
"""

from __future__ import annotations

from collections.abc import Iterable

from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame, operators

from plugmux_hf_inference._budget import STEP

__all__ = ["ChargedCode"]


class ChargedCode(CodeGenerator):
    """Jinja's code generator, with charges between."""

    def blockvisit(self, nodes: Iterable[nodes.Node], frame: Frame) -> None:
        for node in nodes:
            self.writeline(f"environment.budget.spend({STEP * _size_of(node)})")
            if constant := _constant_size(node):
                self.writeline(f"environment.budget.write({constant})")
            super().blockvisit([node], frame)
        super().blockvisit([], frame)

    def visit_For(self, node: nodes.For, frame: Frame) -> None:  # noqa: N802
        if node.test is not None:
            node.test = nodes.And(_tick(node.lineno), node.test, lineno=node.lineno)
        node.body = node.body or [nodes.Output([], lineno=node.lineno)]  # so that each turn is charged
        super().visit_For(node, frame)

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802
        join = "markup_join" if frame.eval_ctx.autoescape else "str_join"
        if frame.eval_ctx.volatile:
            join = "(markup_join if context.eval_ctx.volatile else str_join)"
        self.write(f"environment.concat_charged({join}, (")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")

    def visit_Compare(self, node: nodes.Compare, frame: Frame) -> None:  # noqa: N802
        self.write("(")
        self._visit_weighed(node.expr, frame)
        for operand in node.ops:
            self.visit(operand, frame)
        self.write(")")

    def visit_Operand(self, node: nodes.Operand, frame: Frame) -> None:  # noqa: N802
        self.write(f" {operators[node.op]} ")
        self._visit_weighed(node.expr, frame)

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:  # noqa: N802
        self.write("{")
        for item in node.items:
            self._visit_weighed(item.key, frame)
            self.write(": ")
            self.visit(item.value, frame)
            self.write(", ")
        self.write("}")

    def visit_Getitem(self, node: nodes.Getitem, frame: Frame) -> None:  # noqa: N802
        if not isinstance(node.arg, nodes.Slice):
            super().visit_Getitem(node, frame)
            return
        self.write("environment.sliced(")
        self.visit(node.node, frame)
        self.write(", slice(")
        for bound in (node.arg.start, node.arg.stop, node.arg.step):
            self.visit(bound or nodes.Const(None), frame)
            self.write(", ")
        self.write("))")

    def _visit_weighed(self, node: nodes.Expr, frame: Frame) -> None:
        if isinstance(node, nodes.Const):
            self.visit(node, frame)
            return
        self.write("environment.weighed(")
        self.visit(node, frame)
        self.write(")")


def _size_of(node: nodes.Node) -> int:
    """How much straight-line code a statement is, without the statements inside it."""
    tests = [branch.test for branch in node.elif_] if isinstance(node, nodes.If) else []
    own = [child for child in node.iter_child_nodes() if isinstance(child, nodes.Expr)]
    return 1 + len(own) + sum(sum(1 for _ in child.find_all(nodes.Expr)) for child in own + tests)


def _constant_size(node: nodes.Node) -> int:
    if not isinstance(node, nodes.Output):
        return 0
    return sum(len(part.data) for part in node.nodes if isinstance(part, nodes.TemplateData))


def _tick(lineno: int) -> nodes.Call:
    return nodes.Call(nodes.EnvironmentAttribute("tick"), [], [], None, None, lineno=lineno)
