"""The proof of the conformance kit: at least 27 of the thirty defects are caught, each by its own kind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROOF = Path(__file__).with_name("proof.py")
KINDS = ("events", "cancel", "errors", "secrets", "loop")
ENOUGH = 27


def test_at_least_27_of_the_thirty_defects_are_caught(capsys: pytest.CaptureFixture[str]) -> None:
    said: dict[str, str | None] = {}
    running = [_start(kind) for kind in KINDS]
    for process in running:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        said |= json.loads(out.splitlines()[-1])
    missed = [name for name, verdict in said.items() if verdict is None]
    with capsys.disabled():
        named = f"; not caught: {', '.join(missed)}" if missed else ""
        print(f"\n{len(said) - len(missed)} of {len(said)} defects caught{named}")
    for name, verdict in said.items():
        print(f"{name:22} {verdict}")
    assert len(said) == 30
    assert len(said) - len(missed) >= ENOUGH


def _start(kind: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(PROOF), kind]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
