"""What the page on writing a provider speaks of is there."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

import plugmux
import plugmux.testing
from plugmux.hooks import Hooks
from plugmux.sandbox import FAULTS
from plugmux.scaffold import create

PAGE = (Path(__file__).parents[2] / "docs" / "write-a-provider.md").read_text()
CODE = re.findall(r"`([^`\n]+)`", PAGE)


def test_every_file_it_names_is_in_a_new_project(tmp_path: Path) -> None:
    project = create("acme", tmp_path)
    named = [word for word in CODE if word.endswith(".py")]
    assert len(named) >= 4
    assert not [name for name in named if not (project / name).is_file()]


def test_every_function_of_the_wire_it_names_is_in_a_new_project(tmp_path: Path) -> None:
    wire = (create("acme", tmp_path) / "src/plugmux_acme/_wire.py").read_text()
    named = re.findall(r"^\* `(\w+)\(", PAGE, re.MULTILINE)
    assert len(named) == 4
    assert not [name for name in named if f"def {name}(" not in wire]


def test_it_names_every_hook_with_its_arguments() -> None:
    described = dict(re.findall(r"^\| `(\w+)\((.*?)\)`", PAGE, re.MULTILINE))
    specified = {name: hook for name, hook in vars(Hooks).items() if not name.startswith("_")}
    assert described.keys() == specified.keys()
    for name, hook in specified.items():
        assert described[name].split(", ") == list(hook.__annotations__)[:-1]


@pytest.mark.parametrize("name", [name for name in CODE if re.fullmatch(r"[A-Z]\w+[a-z]\w*", name)])
def test_every_class_it_names_is_public(name: str) -> None:
    homes = [plugmux, plugmux.testing]
    assert [home for home in homes if name in home.__all__], name


@pytest.mark.parametrize("path", [word for word in CODE if re.fullmatch(r"plugmux(\.\w+)+", word)])
def test_every_module_and_function_it_names_exists(path: str) -> None:
    module, _, name = path.rpartition(".")
    try:
        importlib.import_module(path)
    except ModuleNotFoundError:
        assert hasattr(importlib.import_module(module), name)


def test_every_fault_it_names_can_be_asked_for() -> None:
    named = re.findall(r"sandbox/fault-([\w-]+)", PAGE)
    assert named
    assert set(named) <= set(FAULTS)
