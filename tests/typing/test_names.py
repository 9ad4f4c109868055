"""The stub that type checkers read says the same as the package that runs."""

from __future__ import annotations

import ast
import subprocess
import sys
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


def test_a_public_name_stays_what_it_is_whatever_was_imported_before():
    everything = "import plugmux\n" + "\n".join(
        f"import {home}" for home in sorted(set(filter(None, IMPORTS.values())))
    )
    found = "print([name for name in plugmux.__all__ if type(getattr(plugmux, name)).__name__ == 'module'])"
    done = subprocess.run([sys.executable, "-c", f"{everything}\n{found}"], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
