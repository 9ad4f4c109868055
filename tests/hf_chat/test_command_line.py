"""The whole flow from the command line against the sandbox: two turns, two models, separate processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(box: Any, tmp_path: Path) -> Run:
    """Runs `plugmux …` in a process of its own, with a home of its own."""
    pytest.importorskip("click")
    kept = ("PATH", "SYSTEMROOT", "VIRTUAL_ENV", "LANG")
    environ = {name: os.environ[name] for name in kept if name in os.environ}
    environ |= box.environment() | {"PLUGMUX_HOME": str(tmp_path), "HOME": str(tmp_path)}

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "plugmux.cli", *arguments],
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return call


def test_a_conversation_with_two_models_goes_on_over_four_processes(run: Run) -> None:
    turns = [
        (["complete", "-m", "hf-chat::sandbox/plain", "one"], "Model sandbox/plain, turn 1."),
        (["complete", "-m", "hf-chat::sandbox/vision", "-c", "two"], "Model sandbox/vision, turn 1."),
        (["complete", "-m", "hf-chat::sandbox/plain", "-c", "three"], "Model sandbox/plain, turn 2."),
        (["complete", "-m", "hf-chat::sandbox/vision", "-c", "four"], "Model sandbox/vision, turn 2."),
    ]
    for arguments, ending in turns:
        done = run(*arguments)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip().endswith(ending)


def test_both_providers_list_their_models(run: Run) -> None:
    done = run("models")
    assert done.returncode == 0, done.stderr
    assert "omni" in done.stdout
    assert "CohereLabs/c4ai-command-a-03-2025" in done.stdout


def test_the_older_server_answers_under_the_hub_id(run: Run) -> None:
    done = run("complete", "-m", "CohereLabs/c4ai-command-a-03-2025", "hello older one")
    assert done.returncode == 0, done.stderr
    assert "Model command-a-03-2025, turn 1." in done.stdout


def test_a_failing_model_ends_with_its_reason_and_not_with_an_empty_answer(run: Run) -> None:
    done = run("complete", "-m", "hf-chat::sandbox/fault-402", "hello you")
    assert done.returncode != 0
    assert "402" in done.stderr
    assert done.stdout.strip() == ""
