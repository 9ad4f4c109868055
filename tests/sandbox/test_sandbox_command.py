"""`python -m plugmux.sandbox` as a person runs it, and plugins found by entry point."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

MODULE = """
from starlette.responses import PlainTextResponse
from starlette.routing import Route

def routes(box):
    return [Route("/acme/ping", lambda request: PlainTextResponse("pong"))]

def environment(url):
    return {"PLUGMUX_ACME_BASE_URL": url + "/acme"}
"""


def install(folder: Path, name: str, module: str, source: str) -> None:
    """A distribution as an installer leaves it: the module and its metadata."""
    (folder / f"{module}.py").write_text(source)
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[plugmux.sandbox]\n{name} = {module}\n")


def test_the_command_prints_the_environment_and_names_a_broken_plugin(tmp_path: Path) -> None:
    install(tmp_path, "acme", "acme_sandbox", MODULE)
    install(tmp_path, "sad", "sad_sandbox", "raise SystemExit('not today')")
    process = subprocess.Popen(
        [sys.executable, "-m", "plugmux.sandbox", "--port", "0"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        start = "export PLUGMUX_ACME_BASE_URL="
        url = next(line for line in process.stdout if line.startswith(start))[len(start) :].strip("'\n")
        with urllib.request.urlopen(f"{url}/ping") as response:
            assert response.read() == b"pong"
            assert response.headers["x-plugmux-sandbox"] == "1"
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=10)[1]
    assert process.returncode == 0
    assert "sad: SystemExit: not today" in said
    assert "GET /acme/ping" in said
    assert "Traceback" not in said


def test_importing_the_sandbox_loads_no_web_framework() -> None:
    code = "import sys, plugmux.sandbox; print([m for m in ('starlette', 'uvicorn') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


@pytest.mark.parametrize("port", ["-1", "65536"])
def test_a_port_that_is_none_is_said(port: str) -> None:
    command = [sys.executable, "-m", "plugmux.sandbox", "--port", port]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert done.stderr == f"the sandbox cannot use port {port}: a port is 0 to 65535\n"
