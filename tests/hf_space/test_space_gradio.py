"""Real Gradio servers: the newest always, 5 and 4 with `-m real` where their Pythons are given."""

from __future__ import annotations

import hashlib
import json
import statistics
import subprocess
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from plugmux.attachments import attachment_from
from plugmux.errors import ProviderError, QuotaExceededError, ServerError, StreamCutError
from plugmux.events import ConversationState, Finish, Media, Notice, Preview, Progress, Text
from plugmux.messages import Conversation, ProviderState

ORACLE = Path(__file__).parent / "oracle.py"
Collect = Callable[..., Any]


def words(events: list[Any]) -> str:
    return "".join(event.text for event in events if isinstance(event, Text))


def media(events: list[Any]) -> Media:
    (found,) = (event for event in events if isinstance(event, Media))
    return found


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def oracle(gradio: Any, url: str, api_name: str, *arguments: Any) -> Any:
    """What gradio's own client gets from the same call."""
    command = [gradio.python, str(ORACLE), url, f"/{api_name}", json.dumps(arguments)]
    done = await anyio.to_thread.run_sync(
        lambda: subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    )
    return json.loads(done.stdout.splitlines()[-1])["result"]


@pytest.fixture
def photo(tmp_path: Path, gradio: Any) -> Path:
    """A small picture, drawn by the Python that has Pillow."""
    path = tmp_path / "photo.png"
    draw = f"from PIL import Image; Image.new('RGB', (32, 32), (200, 10, 60)).save({str(path)!r})"
    subprocess.run([gradio.python, "-c", draw], check=True)
    return path


async def test_text_to_image_with_progress_and_previews(gradio: Any, collect: Collect) -> None:
    url = gradio.urls["paint"]
    events = await collect(url, "a red fox", seed=7, width=100, settings={"preview_gap": 0})
    fractions = [e.fraction for e in events if isinstance(e, Progress) and e.fraction is not None]
    assert fractions == sorted(fractions)
    assert 0 < fractions[-1] <= 1  # gradio sends the latest state only, now and then
    assert any(isinstance(event, Preview) for event in events)
    assert media(events).mime_type == "image/webp"
    notices = {event.option or event.code: event.message for event in events if isinstance(event, Notice)}
    assert "96" in notices["width"]
    assert notices["result"] == "Seed: 7"
    assert events[-1] == Finish()
    same = await oracle(gradio, url, "paint", "a red fox", 7, False, 96, 64, 4)
    assert same == [digest(media(events).data), 7]


async def test_a_streamed_chat_comes_in_steady_pieces(gradio: Any, ask: Callable[..., Any]) -> None:
    arrived = []
    said = ""
    async for event in await ask(gradio.urls["talk"], "one two three four five six seven", temperature=1.5):
        if isinstance(event, Text):
            arrived.append(time.monotonic())
            said += event.text
    assert said.strip() == "0 earlier; no rules; 1.5; you said: one two three four five six seven"
    gaps = [after - before for before, after in pairwise(arrived)]
    assert len(gaps) >= 10
    assert 0.02 < statistics.median(gaps) < 0.25, gaps  # gradio's own client gives bursts of half a second


async def test_a_chat_goes_on_in_the_apps_own_session(gradio: Any, collect: Collect) -> None:
    url = gradio.urls["talk"]
    first = await collect(url, "hi")
    (kept,) = (event for event in first if isinstance(event, ConversationState))
    state = ProviderState(provider="hf-space", model=url, covers=2, state=kept.state)
    turns = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": words(first)},
        {"role": "user", "content": "again"},
    ]
    second = await collect(url, turns, conversation=Conversation(states=(state,)))
    remembered = 2 if gradio.major >= 5 else 1  # 4.44 counts a question and its answer as one
    assert words(second).strip() == f"{remembered} earlier; no rules; 0.5; you said: again"


async def test_a_chat_that_began_elsewhere_brings_its_history_and_rules(
    gradio: Any, collect: Collect
) -> None:
    turns = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "hello"},
        {"role": "user", "content": "again"},
    ]
    events = await collect(gradio.urls["talk"], turns)
    if gradio.major >= 5:
        assert words(events).strip() == "2 earlier; be brief; 0.5; you said: again"
    else:  # 4.44 has no event that takes a history
        assert "User: hi Assistant: hello User: again" in words(events)
        assert "history-flattened" in [e.code for e in events if isinstance(e, Notice)]


async def test_a_chat_by_hand_takes_its_history_with_the_request(gradio: Any, collect: Collect) -> None:
    turns = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "hello"},
        {"role": "user", "content": "again"},
    ]
    assert words(await collect(gradio.urls["talk_by_hand"], turns)).strip() == "2 earlier, you said again"


async def test_image_and_prompt_to_image(gradio: Any, collect: Collect, photo: Path) -> None:
    url = gradio.urls["retouch"]
    image = attachment_from(str(photo), field="image")
    events = await collect(url, "invert", image=image, extra_body={"strength": 0.7})
    assert media(events).mime_type == "image/webp"
    result, note, *_ = await oracle(gradio, url, "retouch", {"file": str(photo)}, "invert", 0.7)
    assert result == digest(media(events).data)
    assert note == "invert at 0.7"


async def test_text_to_video(gradio: Any, collect: Collect) -> None:
    url = gradio.urls["film"]
    events = await collect(url, "a fox runs", duration=20.0)
    assert media(events).mime_type == "video/mp4"
    assert [e.option for e in events if isinstance(e, Notice)] == ["duration"]
    assert await oracle(gradio, url, "film", "a fox runs", 8) == digest(media(events).data)


async def test_text_to_speech_and_back(gradio: Any, collect: Collect) -> None:
    url = gradio.urls["speak"]
    events = await collect(url, "hello", voice="high", speed=2.0)
    sound = media(events)
    assert sound.mime_type == "audio/wav"
    assert await oracle(gradio, url, "speak", "hello", "high", 2.0) == digest(sound.data)
    heard = await collect(
        f"{url}#listen",
        "x",
        audio=attachment_from(sound.data, field="audio"),
        task="automatic-speech-recognition",
    )
    assert words(heard) == "0.10 seconds"


FAILURES = [
    ("says_no", ServerError, "You must not say boo"),
    ("breaks", ServerError, "does not say why"),
    ("breaks_late", ServerError, "failed after two pieces"),
    ("no_quota", QuotaExceededError, "60s requested vs. 5s left"),
]


@pytest.mark.parametrize(("endpoint", "kind", "said"), FAILURES)
async def test_an_error_of_each_kind(
    gradio: Any, collect: Collect, endpoint: str, kind: type[ProviderError], said: str
) -> None:
    with pytest.raises(kind, match=said) as caught:
        await collect(f"{gradio.urls['faults']}#{endpoint}", "boo")
    assert "secret detail" not in str(caught.value)


async def test_a_quota_error_says_when_to_come_back(gradio: Any, collect: Collect) -> None:
    with pytest.raises(QuotaExceededError) as caught:
        await collect(f"{gradio.urls['faults']}#no_quota", "boo")
    assert caught.value.retry_after == 3723.0


async def test_lines_of_the_app_come_through(gradio: Any, collect: Collect) -> None:
    events = await collect(f"{gradio.urls['faults']}#warns", "boo")
    assert [e.message for e in events if isinstance(e, Notice)] == ["a warning line"]
    assert "an info line" in [e.message for e in events if isinstance(e, Progress)]


async def witnessed(gradio: Any, collect: Collect, name: str) -> int:
    return int(words(await collect(f"{gradio.urls['faults']}#witness", name)))


async def test_leaving_stops_a_generator_at_the_server(
    gradio: Any, ask: Callable[..., Any], collect: Collect
) -> None:
    stream = await ask(f"{gradio.urls['faults']}#ticks", "tick")
    async for event in stream:
        if isinstance(event, Text):
            break
    await stream.aclose()
    before, seen = -1, await witnessed(gradio, collect, "ticks")
    with anyio.fail_after(10):  # left alone it would go on for twice as long
        while seen != before:
            await anyio.sleep(0.3)
            before, seen = seen, await witnessed(gradio, collect, "ticks")


async def test_a_job_that_is_left_in_the_queue_never_runs(
    gradio: Any, ask: Callable[..., Any], collect: Collect
) -> None:
    url = f"{gradio.urls['faults']}#slow"
    before = await witnessed(gradio, collect, "slow")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(collect, url, "first")
        await anyio.sleep(0.2)
        stream = await ask(url, "second")
        async for event in stream:
            if isinstance(event, Progress) and event.stage == "queued":
                break
        await stream.aclose()
    await anyio.sleep(0.8)
    assert await witnessed(gradio, collect, "slow") - before == 1


async def test_a_plain_function_that_runs_ends_by_itself_after_leaving(
    gradio: Any, ask: Callable[..., Any], collect: Collect
) -> None:
    before = await witnessed(gradio, collect, "blocking")
    stream = await ask(f"{gradio.urls['faults']}#blocking", "go")
    async for event in stream:
        if isinstance(event, Progress) and event.stage == "running":
            break
    await stream.aclose()
    seen = before
    with anyio.fail_after(30):
        while seen == before:
            seen = await witnessed(gradio, collect, "blocking")
    assert seen - before == 1


async def test_a_server_that_dies_in_mid_job_is_a_cut_at_once(doomed: Any, ask: Callable[..., Any]) -> None:
    stream = await ask(f"{doomed.urls['faults']}#ticks", "tick")
    died = 0.0

    async def read() -> None:
        nonlocal died
        async for event in stream:
            if isinstance(event, Text) and not died:
                doomed.process.kill()
                died = time.monotonic()

    with pytest.raises(StreamCutError):
        await read()
    assert time.monotonic() - died < 3.0


SHARED = {
    "a_text2image": "text-to-image",
    "b_chat": "conversational",
    "b2_chat_multimodal": "conversational",
    "b3_chat_blocks": "conversational",
    "c_kontext": "image-to-image",
    "d_video": "text-to-video",
    "i_tts": "text-to-speech",
}


@pytest.mark.parametrize("name", SHARED)
async def test_apps_shaped_like_real_spaces_do_their_task(
    shared_apps: Any, collect: Collect, name: str, picture: bytes
) -> None:
    options: dict[str, Any] = {"num_inference_steps": 2} if name == "a_text2image" else {}
    if name == "c_kontext":
        draw = (
            "import io, sys; from PIL import Image; Image.new('RGB', (8, 8)).save(sys.stdout.buffer, 'PNG')"
        )
        command = [shared_apps.python, "-c", draw]
        drawn = await anyio.to_thread.run_sync(
            lambda: subprocess.run(command, capture_output=True, check=True).stdout
        )
        options["image"] = attachment_from(drawn, field="image")
    events = await collect(shared_apps.urls[name], "a fox", task=SHARED[name], **options)
    assert events[-1] == Finish()
    assert words(events) or media(events).size
