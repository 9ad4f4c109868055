"""What `create` writes is a project that works as it is."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from plugmux.errors import InvalidInputError
from plugmux.scaffold import create


def test_the_project_is_named_after_its_provider(tmp_path: Path) -> None:
    project = create("acme-one", tmp_path)
    settings = tomllib.loads((project / "pyproject.toml").read_text())
    assert project == tmp_path / "plugmux-acme-one"
    assert settings["project"]["name"] == "plugmux-acme-one"
    assert settings["project"]["entry-points"]["plugmux"] == {"acme-one": "plugmux_acme_one:plugin"}
    assert (project / "src" / "plugmux_acme_one" / "py.typed").is_file()


def test_no_placeholder_and_no_template_is_left(tmp_path: Path) -> None:
    written = [path for path in create("acme", tmp_path).rglob("*") if path.is_file()]
    assert len(written) >= 10
    assert not [
        path for path in written if "@" in path.read_text().replace("@hookimpl", "").replace("@pytest", "")
    ]
    assert not [path for path in written if path.name.endswith(".template")]


def test_a_name_may_be_that_of_its_distribution(tmp_path: Path) -> None:
    assert create("plugmux-acme", tmp_path).name == "plugmux-acme"


@pytest.mark.parametrize(
    "name", ["", "Acme", "1acme", "a_b", "a--b", "-a", "a-", "a b", "../a", "é", "class"]
)
def test_a_name_that_is_none_is_refused_and_nothing_is_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        create(name, tmp_path)
    assert caught.value.field == "name"
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_already_is_never_touched(tmp_path: Path) -> None:
    mine = tmp_path / "plugmux-acme" / "mine"
    mine.parent.mkdir()
    mine.write_text("mine")
    with pytest.raises(InvalidInputError, match="already exists"):
        create("acme", tmp_path)
    assert list(mine.parent.iterdir()) == [mine]


def test_the_project_passes_its_own_tests_and_the_conformance_kit(tmp_path: Path) -> None:
    project = create("acme-one", tmp_path)
    _install(tmp_path)
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-k", "not trio", "-p", "no:cacheprovider", project],
        cwd=project,
        env=os.environ | {"PYTHONPATH": f"{project / 'src'}{os.pathsep}{tmp_path}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
    assert " passed" in ran.stdout
    assert "skipped" not in ran.stdout


def _install(folder: Path) -> None:
    """The project's entry points, as an installer leaves them beside its source."""
    info = folder / "plugmux_acme_one-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugmux-acme-one\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[plugmux]\nacme-one = plugmux_acme_one:plugin\n")
