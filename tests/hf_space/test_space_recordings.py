"""Recorded streams of real servers, versions 4.16 to 6.31, read as they came."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from plugmux.decoding import EventStreamDecoder
from plugmux.events import Text
from plugmux_hf_space import _wire
from plugmux_hf_space._results import Growing, Replay
from plugmux_hf_space._wire import Completed, Estimation, Generating, Log, Message, Other, Report

VERSIONS = ["4.44.1", "5.50.0", "6.31.0"]


def body_of(path: Path) -> bytes:
    """The answer's bytes: what comes after the second empty line behind the dividing one."""
    answer = path.read_bytes().split(b"\n-----\n", 1)[1].replace(b"\r\n", b"\n")
    return answer.split(b"\n\n", 1)[1].split(b"<<<")[0]


def messages_of(path: Path) -> list[Message]:
    decoder = EventStreamDecoder()
    events = decoder.feed(body_of(path)) + decoder.flush()
    return [_wire.message_of(event.data) for event in events]


def recorded(shared: Path, version: str, name: str) -> list[Message]:
    folder = shared / "recordings" / "spaces" / f"gradio-{version}"
    found = sorted(folder.glob(f"*_{name}_queue_data.http"))
    if not found:
        pytest.skip(f"{name} was not recorded for {version}")
    return messages_of(found[0])


def completed(messages: list[Message]) -> Completed:
    (found,) = (message for message in messages if isinstance(message, Completed))
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_a_recorded_quota_error_has_its_seconds(shared: Path, version: str) -> None:
    error: Any = completed(recorded(shared, version, "zerogpu_quota")).error
    assert (error.requested, error.left, error.retry_after) == (60.0, 0.0, 23 * 3600 + 59 * 60 + 59.0)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_recorded_gr_error_has_its_words_without_quotes(shared: Path, version: str) -> None:
    error = completed(recorded(shared, version, "gr_error")).error
    assert error is not None
    assert error.message == "the app failed: You must not say boo"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_recorded_plain_exception_is_hidden(shared: Path, version: str) -> None:
    error = completed(recorded(shared, version, "plain")).error
    assert error is not None
    assert error.code == "app-error-hidden"


@pytest.mark.parametrize("version", VERSIONS)
def test_recorded_text_comes_in_pieces_up_to_the_error(shared: Path, version: str) -> None:
    replay, growing, pieces = Replay(), Growing(), []
    messages = recorded(shared, version, "mid_stream")
    for message in messages:
        if isinstance(message, Generating) and (values := replay.feed(message.data)):
            pieces += growing.feed(values[0])
    assert pieces == [Text(text="boo one"), Text(text=" two")]
    error = completed(messages).error
    assert error is not None
    assert "failed after two previews" in error.message


@pytest.mark.parametrize("version", VERSIONS)
def test_recorded_log_lines_have_their_levels(shared: Path, version: str) -> None:
    logs = [m for m in recorded(shared, version, "logs") if isinstance(m, Log)]
    assert [(log.level, log.text) for log in logs] == [
        ("info", "an info line"),
        ("warning", "a warning line"),
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_recorded_cancel_is_no_success(shared: Path, version: str) -> None:
    error = completed(recorded(shared, version, "cancel_running")).error
    assert error is not None
    assert "cancelled" in error.message


@pytest.mark.parametrize("version", VERSIONS)
def test_a_recorded_queue_tells_rank_and_time(shared: Path, version: str) -> None:
    ranks = [m.rank for m in recorded(shared, version, "busy2") if isinstance(m, Estimation)]
    assert ranks
    assert ranks == sorted(ranks, key=lambda rank: -(rank or 0))


@pytest.mark.parametrize("version", VERSIONS)
def test_recorded_progress_counts_the_steps(shared: Path, version: str) -> None:
    folder = shared / "recordings" / "spaces" / f"gradio-{version}"
    (path,) = folder.glob("*_infer_api_header_queue_data.http")
    reports = [m for m in messages_of(path) if isinstance(m, Report)]
    assert reports
    assert all(
        report.text.startswith("Denoising ") and report.text.endswith("/4 steps") for report in reports
    )


def test_every_recorded_stream_is_understood_and_replays_to_its_result(shared: Path) -> None:
    """The server itself says what the edits must come to: the whole value at the end."""
    replayed = 0
    for path in sorted((shared / "recordings" / "spaces").glob("gradio-*/*_data.http")):
        if path.parent.name in ("gradio-4.8.0", "gradio-3.50.2"):
            continue
        messages = messages_of(path)
        assert messages, path
        jobs = {m.event_id for m in messages if isinstance(m, Generating)}
        for job in jobs:
            mine = [m for m in messages if m.event_id == job]
            ends = [m.data for m in mine if isinstance(m, Completed) and m.data is not None]
            if not ends:
                continue
            replay = Replay(whole=path.parent.name == "gradio-4.16.0")
            values = [replay.feed(m.data) for m in mine if isinstance(m, Generating)]
            assert values[-1] == list(ends[0]), path
            replayed += 1
        assert all(m.name in ("heartbeat", "close_stream") for m in messages if isinstance(m, Other)), path
    assert replayed >= 15
