"""What all tests share: both event loops, a home of their own, and the recordings beside the project."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_configure() -> None:
    """Ctrl-C ends what tests start, also where the run itself is a job in the background that ignores it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of recordings, templates and real apps; a test that wants it skips where it is absent.

    With PLUGMUX_TEST_REQUIRE_SHARED=1 it fails there instead, so that a skip cannot pass for a success.
    """
    if not SHARED.is_dir():
        if os.environ.get("PLUGMUX_TEST_REQUIRE_SHARED") == "1":
            pytest.fail(
                f"no {SHARED.name}/ beside the project, and PLUGMUX_TEST_REQUIRE_SHARED=1", pytrace=False
            )
        pytest.skip(f"no {SHARED.name}/ beside the project")
    return SHARED


@pytest.fixture(autouse=True)
def _own_home(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads the developer's own settings or tokens."""
    home = tmp_path_factory.mktemp("home")
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HUGGINGFACE_API_KEY", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(home / "hf"))
    monkeypatch.setenv("PLUGMUX_HOME", str(home / "plugmux"))
