"""The stub that type checkers read says the same as the package that runs."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import plugmux

STUB = ast.parse(Path(plugmux.__file__).with_name("__init__.pyi").read_text())
IMPORTS = {
    alias.name: node.module for node in STUB.body if isinstance(node, ast.ImportFrom) for alias in node.names
}


def test_the_stub_has_every_public_name_and_no_other():
    assert sorted([*IMPORTS, "__version__"]) == list(plugmux.__all__)


def test_the_stub_takes_each_name_from_where_the_package_takes_it():
    for name, home in IMPORTS.items():
        assert getattr(import_module(home), name) is getattr(plugmux, name), name
