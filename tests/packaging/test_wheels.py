"""What a wheel holds, and what it says of itself."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOREIGN = re.compile(
    "|".join(
        (
            r"\bpypi\.(?:org|python)|pythonhosted\.|registry\.npmjs|deb\.debian",  # registry hosts
            r"(?<![\w.])/(?:work|root|opt)/|/home/[a-z]+/|/Users/[a-z]+/",  # folders of one machine
        )
    )
)


@pytest.fixture
def package(member: str) -> str:
    return member.replace("-", "_")


def test_a_wheel_ships_its_types_and_its_licence(wheels, member, package):
    names = wheels[member].names()
    assert f"{package}/py.typed" in names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_a_wheel_ships_a_readme_that_says_what_it_is(wheels, member):
    metadata = wheels[member].metadata()
    assert metadata["Description-Content-Type"] == "text/markdown"
    readme = metadata.get_payload()
    assert readme.startswith(f"# {member}\n")
    assert len(readme) > 400


def test_a_wheel_holds_one_package_and_nothing_else(wheels, member, package):
    tops = {name.split("/")[0] for name in wheels[member].names()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {package}


def test_a_version_is_written_down_and_the_wheel_has_it(wheels, member):
    project = _project(member)
    assert "version" not in project.get("dynamic", [])
    assert wheels[member].metadata()["Version"] == project["version"]


def test_a_member_says_it_is_mit_and_wants_python_3_11(wheels, member):
    metadata = wheels[member].metadata()
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.11"


def test_a_plugin_depends_on_a_range_of_plugmux_and_on_no_sibling(wheels, plugin):
    required = wheels[plugin].metadata().get_all("Requires-Dist")
    ours = [line for line in required if line.startswith("plugmux") and "extra ==" not in line]
    assert len(ours) == 1
    assert re.fullmatch(r"plugmux\s*\(?(?=.*>=\d)(?=.*<\d)[<>=.,\d]+\)?", ours[0])


def test_a_plugin_is_found_by_its_entry_point(wheels, plugin):
    assert plugin.removeprefix("plugmux-") in wheels[plugin].entry_points("plugmux")


def test_core_has_an_extra_for_every_plugin(wheels, plugin):
    assert plugin.removeprefix("plugmux-") in wheels["plugmux"].metadata().get_all("Provides-Extra")


def test_no_file_names_a_registry_or_a_folder_of_one_machine():
    found = [f"{path}: {match[0]}" for path, text in _texts() for match in FOREIGN.finditer(text)]
    assert found == []


def _texts():
    """Every text that is or would be committed, this file apart."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path != Path(__file__).resolve() and path.is_file():
            yield name, path.read_bytes().decode(errors="replace")


def _project(member: str) -> dict:
    files = [ROOT / "core" / "pyproject.toml", *ROOT.glob("plugins/*/pyproject.toml")]
    projects = [tomllib.loads(path.read_text())["project"] for path in files]
    return next(project for project in projects if project["name"] == member)
