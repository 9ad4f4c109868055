"""Real servers that none of us wrote, started from environments that `nox -s real` makes."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from attrs import frozen

START_SECONDS = 180.0


@frozen
class ChatServer:
    """`transformers serve`, and the folder of the model that it serves."""

    address: str
    model: str


@pytest.fixture(scope="session")
def serving_python() -> Path:
    python = os.environ.get("PLUGMUX_TEST_SERVING_PYTHON")
    if not python:
        pytest.skip("no environment with transformers[serving] (nox -s real makes one)")
    return Path(python)


@pytest.fixture(scope="session")
def model_folder(serving_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-layer Llama with random weights, its tokenizer and its template."""
    folder = tmp_path_factory.mktemp("model") / "tiny-llama"
    saver = Path(__file__).with_name("tiny_llama.py")
    subprocess.run([str(serving_python), str(saver), str(folder)], check=True, timeout=300)
    return folder


@pytest.fixture(scope="session")
def chat_server(serving_python: Path, model_folder: Path) -> Iterator[ChatServer]:
    """The model behind `transformers serve`."""
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(model_folder.parent / "hf")}
    log = model_folder.parent / "serve.log"
    with _serving(serving_python, env, log) as address:
        yield ChatServer(f"{address}/v1", str(model_folder))


@contextmanager
def _serving(python: Path, env: Mapping[str, str], log: Path) -> Iterator[str]:
    port = _free_port()
    script = str(python.with_name("transformers"))
    command = [script, "serve", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as out, subprocess.Popen(command, env=env, stdout=out, stderr=out) as process:
        try:
            _wait_until_healthy(f"http://127.0.0.1:{port}/health", process, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"the server ended with {process.returncode}:\n{log.read_text()[-2000:]}")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"the server did not start in {START_SECONDS:.0f} s:\n{log.read_text()[-2000:]}")
