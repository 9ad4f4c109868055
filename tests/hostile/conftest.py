"""Installs hostile plugins as real distributions into a folder, and runs plugmux with them in a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from attrs import frozen

sys.path.insert(0, str(Path(__file__).parent))

DRIVE = Path(__file__).with_name("drive.py")
OURS = "hf-inference,hf-chat,hf-media,hf-space,cohere-chat"


@frozen
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str


class Place:
    """A folder of distributions, and a home of its own for each command."""

    ours = OURS

    def __init__(self, folder: Path) -> None:
        self.site = folder / "site"
        self.site.mkdir()
        self._folder = folder
        self._homes = 0
        self.noise = ""  # what `run_all` last wrote past the commands' own streams

    def install(
        self,
        name: str,
        source: str,
        *,
        distribution: str | None = None,
        requires: Sequence[str] = ("plugmux>=0.1",),
        entry_points: str | None = None,
        metadata: str | None = None,
        group: str = "plugmux",
        target: str = ":plugin",
    ) -> None:
        distribution = distribution or f"plugmux-{name}"
        module = distribution.replace("-", "_")
        (self.site / f"{module}.py").write_text(source)
        info = self.site / f"{module}-1.0.dist-info"
        info.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {distribution}", "Version: 1.0"]
        lines += [f"Requires-Dist: {one}" for one in requires]
        (info / "METADATA").write_text(metadata or "\n".join(lines) + "\n")
        (info / "entry_points.txt").write_text(entry_points or f"[{group}]\n{name} = {module}{target}\n")

    def start(self, *arguments: str, code: str | None = None, **environ: str) -> subprocess.Popen[str]:
        """Start `plugmux …`, or Python code, in a fresh process with a fresh home."""
        command = ["-m", "plugmux.cli"] if code is None else ["-c", code]
        return self._start([*command, *arguments], environ)

    def run_all(self, commands: Mapping[str, Sequence[str]], **environ: str) -> dict[str, Ran]:
        """Run several `plugmux …` in one process, each with a fresh home."""
        process = self._start([str(DRIVE), json.dumps(commands)], environ)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        self.noise = err
        ended = json.loads(out.splitlines()[-1])
        return {name: Ran(one["code"], one["out"], one["err"]) for name, one in ended.items()}

    def _start(self, command: Sequence[str], environ: Mapping[str, str]) -> subprocess.Popen[str]:
        self._homes += 1
        named = {
            "PLUGMUX_HOME": str(self._folder / f"home{self._homes}"),
            "PYTHONPATH": str(self.site),
            "PLUGMUX_DISABLE": OURS,
            "NO_COLOR": "1",
            "COLUMNS": "400",
        }
        return subprocess.Popen(
            [sys.executable, *command],
            env={**os.environ, **named, **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture(scope="session")
def new_place(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Place]:
    return lambda: Place(tmp_path_factory.mktemp("place"))


@pytest.fixture(scope="session")
def ended() -> Callable[[subprocess.Popen[str]], Ran]:
    def wait(process: subprocess.Popen[str]) -> Ran:
        try:
            out, err = process.communicate(timeout=90)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            return Ran(-1, out, f"{err}\nit did not end within 90 s")
        return Ran(process.returncode, out, err)

    return wait
