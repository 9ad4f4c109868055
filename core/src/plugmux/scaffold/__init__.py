"""A new provider plugin to start from.

`create` writes a project that installs, passes the conformance kit and answers (from the sandbox) at once.
"""

from __future__ import annotations

import keyword
import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from plugmux.errors import InvalidInputError

__all__ = ["create"]

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def create(name: str, folder: Path) -> Path:
    """Write the project `plugmux-NAME` into `folder` and return its path.

    Raises InvalidInputError for a name that is none, or where the project's folder already exists, and
    OSError where it cannot be written.
    """
    name = _checked(name)
    project = folder / f"plugmux-{name}"
    try:
        project.mkdir(parents=True)
    except FileExistsError as error:
        raise InvalidInputError(f"{project} already exists", field="name") from error
    words = _words(name)
    for source, target in _templates(words["module"]):
        path = project / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_filled(source.read_text(encoding="utf-8"), words), encoding="utf-8")
    (project / "src" / words["module"] / "py.typed").touch()
    return project


def _checked(name: str) -> str:
    name = name.removeprefix("plugmux-")
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        said = f"{name!r} is no name for a provider: lower-case words and digits, joined by hyphens"
        raise InvalidInputError(said, field="name")
    return name


def _words(name: str) -> dict[str, str]:
    module = f"plugmux_{name.replace('-', '_')}"
    title = "".join(part.capitalize() for part in name.split("-"))
    return {"name": name, "module": module, "environment": module.upper(), "title": title}


def _templates(module: str) -> list[tuple[Traversable, str]]:
    """Every template and the path in the project that it is written to."""
    root = files("plugmux.scaffold") / "template"
    places = {"": root, f"src/{module}/": root / "module", "tests/": root / "tests"}
    return [
        (source, f"{place}{source.name.removesuffix('.template')}")
        for place, folder in places.items()
        for source in folder.iterdir()
        if source.name.endswith(".template")
    ]


def _filled(text: str, words: dict[str, str]) -> str:
    return re.sub(r"@(\w+)@", lambda found: words[found[1]], text)
