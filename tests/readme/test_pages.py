"""What the first pages show is run, against the sandbox: an example that does not work fails here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from plugmux.sandbox import Sandbox

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "core/README.md")
SERVER = "http://127.0.0.1:8000/v1"
AROUND = """
import asyncio, plugmux
messages = "Hi"
async def main():
{code}
asyncio.run(main())
"""


def _blocks(page: str) -> list[str]:
    """The indented blocks of a page, without their indentation."""
    text = (ROOT / page).read_text()
    found = re.findall(r"(?:^(?: {4}.*)?\n)+", text, re.MULTILINE)
    return [textwrap.dedent(block).strip() for block in found if block.strip()]


def _codes() -> list[str]:
    return [
        block for page in PAGES for block in _blocks(page) if "plugmux." in block and "[project" not in block
    ]


def _commands() -> list[str]:
    """The lines that call the command line, where they are ours to run."""
    blocks = [block.replace("\\\n", " ") for page in PAGES for block in _blocks(page)]
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return sorted({line for line in lines if re.search(r"(^|\s)plugmux [a-z]", line) and "pip" not in line})


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An environment in which every provider is the sandbox, with a home of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "PLUGMUX_"))}
    home = str(tmp_path_factory.mktemp("home"))
    scripts = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with Sandbox() as box:
        ours = {"PLUGMUX_HOME": home, "HF_HOME": home, "PATH": scripts}
        yield {**kept, **ours, **box.environment(), "SERVER": f"{box.url}/hf-inference/v1"}


@pytest.mark.parametrize("code", _codes())
def test_the_code_of_a_page_runs(environ: dict[str, str], code: str) -> None:
    runnable = (
        AROUND.format(code=textwrap.indent(code, "    ")) if "async " in code else f"import plugmux\n{code}"
    )
    done = _run([sys.executable, "-c", runnable], environ)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize("command", _commands())
def test_a_command_of_a_page_ends_well(environ: dict[str, str], command: str) -> None:
    done = _run(["sh", "-c", command.replace(SERVER, environ["SERVER"])], environ)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_the_pages_show_code_and_commands() -> None:
    assert len(_codes()) >= 4
    assert len(_commands()) >= 6


def _run(command: list[str], environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=environ, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
