"""The raw road: a real model behind TGI's routes, asked from the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

pytestmark = pytest.mark.real
SERVER = Path(__file__).with_name("tgi_server.py")


@pytest.fixture(scope="session")
def tgi(serving_python, model_folder):
    """The address of a server that speaks TGI with the tiny model."""
    command = [str(serving_python), str(SERVER), str(model_folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.stdin.close()


@pytest.fixture
def plugmux(tgi, tmp_path):
    """Run the command line with the server as the provider `raw`, and show the run."""
    env = {**os.environ, "PLUGMUX_INSTANCES": f"raw=hf-inference@{tgi}"}
    env |= {"PLUGMUX_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).parent / "plugmux"), *arguments]
        done = subprocess.run(
            command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
        )
        print(f"$ plugmux {' '.join(arguments)}\n{done.stdout}{done.stderr}[exit {done.returncode}]")
        return done

    return run


def generated(tgi: str, prompt: str, count: int) -> str:
    """What the model says to a prompt, without plugmux between."""
    body = json.dumps({"inputs": prompt, "parameters": {"max_new_tokens": count}}).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{tgi}/generate", data=body), timeout=60) as answer:
        return json.load(answer)["generated_text"]


GENERATE = ["--json", "-o", "max_tokens=24", "-o", "task=text-generation"]


def texts(done: subprocess.CompletedProcess[str]) -> list[str]:
    events = [json.loads(line) for line in done.stdout.splitlines()]
    return [event["text"] for event in events if event["event"] == "text"]


def test_raw_text_is_streamed_token_by_token(plugmux, tgi, model_folder):
    done = plugmux("complete", f"raw::{model_folder}", "a red fox", *GENERATE)
    assert done.returncode == 0
    assert len(texts(done)) > 5
    assert "".join(texts(done)) == generated(tgi, "User: a red fox\nAssistant:", 24)


def test_a_text_is_gone_on_with_exactly_where_it_ends(plugmux, tgi, model_folder):
    done = plugmux("complete", f"raw::{model_folder}", "a boat at", "--continue", *GENERATE)
    assert done.returncode == 0
    assert "".join(texts(done)) == generated(tgi, "a boat at", 24)


def test_an_answer_too_long_for_the_window_is_made_to_fit(plugmux, model_folder):
    arguments = [*GENERATE[:1], "-o", "max_tokens=5000", *GENERATE[3:]]
    done = plugmux("complete", f"raw::{model_folder}", "a red fox", *arguments)
    assert done.returncode == 0
    assert len("".join(texts(done))) > 100
