"""Built wheels, and environments that hold nothing but what a test puts into them."""

from __future__ import annotations

import configparser
import email
import os
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Callable, Mapping, Sequence
from email.message import Message
from pathlib import Path

import pytest
from attrs import frozen

ROOT = Path(__file__).resolve().parents[2]
MEMBERS = sorted(
    tomllib.loads(path.read_text())["project"]["name"]
    for path in [ROOT / "core" / "pyproject.toml", *ROOT.glob("plugins/*/pyproject.toml")]
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`member` is each distribution of the workspace, `plugin` each but core."""
    if "member" in metafunc.fixturenames:
        metafunc.parametrize("member", MEMBERS)
    if "plugin" in metafunc.fixturenames:
        metafunc.parametrize("plugin", [name for name in MEMBERS if name != "plugmux"])


@frozen
class Wheel:
    """A built member as its file shows it."""

    path: Path

    def names(self) -> list[str]:
        with zipfile.ZipFile(self.path) as archive:
            return archive.namelist()

    def text(self, ending: str) -> str:
        with zipfile.ZipFile(self.path) as archive:
            return archive.read(next(name for name in archive.namelist() if name.endswith(ending))).decode()

    def metadata(self) -> Message:
        return email.message_from_string(self.text(".dist-info/METADATA"))

    def entry_points(self, group: str) -> set[str]:
        """The names that this distribution brings to a group."""
        parser = configparser.ConfigParser(delimiters=("=",))
        parser.read_string(self.text(".dist-info/entry_points.txt"))
        return set(parser[group])


@frozen
class Environment:
    """An environment of its own, with a home of its own."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def run(self, code: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run a few lines there, offline and without any of the developer's settings."""
        return self.call([str(self.python), "-I", "-c", code], environ)

    def call(self, command: Sequence[str], environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        env = {"PATH": os.environ["PATH"], "HOME": str(home), "HF_HUB_OFFLINE": "1", **environ}
        return subprocess.run(command, env=env, cwd=home, capture_output=True, text=True, timeout=120)

    def distributions(self) -> set[str]:
        folders = self.folder.glob("lib/python*/site-packages/*.dist-info")
        return {_normal(folder.name.split("-")[0]) for folder in folders}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="session")
def wheels() -> dict[str, Wheel]:
    """Each member's wheel by distribution name, as `nox -s packages` built them."""
    folder = os.environ.get("PLUGMUX_TEST_WHEELS")
    if not folder:
        pytest.skip("no built wheels here (nox -s packages builds them)")
    built = [Wheel(path) for path in Path(folder).glob("*.whl")]
    return {wheel.metadata()["Name"]: wheel for wheel in built}


@pytest.fixture(scope="session")
def environment(
    wheels: dict[str, Wheel], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Environment]:
    """Make an environment with these members and their dependencies: made once, shared by all who ask."""
    made: dict[tuple[str, ...], Environment] = {}

    def make(*names: str) -> Environment:
        if names not in made:
            folder = tmp_path_factory.mktemp("environment")
            venv.create(folder, with_pip=False, symlinks=True)
            _install(folder, [str(wheels[name].path) for name in names])
            made[names] = Environment(folder)
        return made[names]

    return make


def _install(folder: Path, files: list[str]) -> None:
    uv = os.environ.get("PLUGMUX_TEST_UV")
    python = ["--python", str(folder / "bin" / "python")]
    pip = [uv, "pip", "install", *python] if uv else [sys.executable, "-m", "pip", *python, "install"]
    command = [*pip, "--quiet", "-c", str(ROOT / "constraints.txt"), *files]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
