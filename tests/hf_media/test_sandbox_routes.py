"""The whole way, from the client through every provider of the sandbox, and what it plays."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import plugmux
from plugmux.errors import (
    AllProvidersFailedError,
    ContentFilterError,
    MalformedResponseError,
    ModelNotFoundError,
    PermissionDeniedError,
    ProviderError,
    QuotaExceededError,
    StreamCutError,
)
from plugmux.model import Task
from plugmux.sandbox import Sandbox, Timings
from plugmux.settings import Settings
from plugmux_hf_media import sandbox
from plugmux_hf_media._film import film
from plugmux_hf_media._played import NAMES
from plugmux_hf_media._table import routes_of

KINDS = {
    Task.TEXT_TO_VIDEO: "video/mp4",
    Task.IMAGE_TO_VIDEO: "video/mp4",
    Task.TEXT_TO_IMAGE: "image/png",
    Task.IMAGE_TO_IMAGE: "image/png",
    Task.TEXT_TO_SPEECH: "audio/wav",
}
EVERY = [(route.provider, task, name) for name, task in NAMES.items() for route in routes_of(task)]
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(8)
SOUND = b"RIFF\x24\0\0\0WAVEfmt " + bytes(24)


@pytest.fixture(scope="module")
def played() -> Iterator[Sandbox]:
    timings = Timings(token=0, silent=5, slow_first_token=1, stall=5)
    with Sandbox(plugins={"hf-media": sandbox}, timings=timings) as box:
        yield box


@asynccontextmanager
async def client_of(box: Sandbox, home: Path, **more: str) -> AsyncIterator[plugmux.AsyncClient]:
    environ = {
        **box.environment(),
        "PLUGMUX_HOME": str(home),
        "PLUGMUX_DISABLE": "hf-chat,cohere-chat,hf-inference,hf-space",
        "PLUGMUX_HF_MEDIA_POLL_SECONDS": "0.005",
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
        **more,
    }
    async with plugmux.AsyncClient(settings=Settings.load(environ)) as client:
        yield client


def inputs_of(task: Task) -> dict[str, Any]:
    if task in (Task.IMAGE_TO_IMAGE, Task.IMAGE_TO_VIDEO):
        return {"image": PICTURE}
    return {"audio": SOUND} if task is Task.AUTOMATIC_SPEECH_RECOGNITION else {}


@pytest.mark.parametrize(("provider", "task", "name"), EVERY, ids=[f"{row[0]}-{row[2]}" for row in EVERY])
async def test_every_provider_does_every_task_of_its_own(
    played: Sandbox, tmp_path: Path, provider: str, task: Task, name: str
) -> None:
    async with client_of(played, tmp_path) as client:
        done = await client.complete(f"{name}:{provider}", "a boat at dawn", task=task, **inputs_of(task))
    assert done.upstream == provider
    if task is Task.AUTOMATIC_SPEECH_RECOGNITION:
        assert "sandbox" in done.text
    else:
        assert [media.mime_type for media in done.media] == [KINDS[task]]
    assert [entry.error for entry in played.requests if entry.error] == []


async def test_a_short_name_makes_a_picture_and_another_a_film(played: Sandbox, tmp_path: Path) -> None:
    async with client_of(played, tmp_path) as client:
        picture = await client.complete("flux", "a red fox")
        film_done = await client.complete("wan", "a boat at dawn")
    assert [media.mime_type for media in (*picture.media, *film_done.media)] == ["image/png", "video/mp4"]


async def test_several_pictures_are_made_by_several_requests(played: Sandbox, tmp_path: Path) -> None:
    async with client_of(played, tmp_path) as client:
        done = await client.complete("flux", "a red fox", n=3)
    assert len(done.media) == 3


async def test_video_comes_first_in_the_listing(played: Sandbox, tmp_path: Path) -> None:
    async with client_of(played, tmp_path) as client:
        models = await client.models()
    assert models[0].tasks == (Task.TEXT_TO_VIDEO,)


async def test_out_of_credit_at_one_upstream_moves_on_to_the_next_and_the_trace_shows_it(
    tmp_path: Path,
) -> None:
    box = Sandbox(plugins={"hf-media": _OutOfCredit()}, timings=Timings(token=0))
    with box:
        async with client_of(box, tmp_path) as client:
            done = await client.complete("flux", "a red fox", policy={"order": ["fal-ai", "together"]})
    assert done.upstream == "together"
    first, second = done.trace.attempts
    assert (first.upstream, first.error.status) == ("fal-ai", 402)
    assert (second.upstream, second.error) == ("together", None)


class _OutOfCredit:
    """The sandbox, with nothing left at fal-ai."""

    environment = staticmethod(sandbox.environment)

    def routes(self, box: Sandbox) -> Any:
        from starlette.responses import JSONResponse
        from starlette.routing import Route

        async def refuse(request: object) -> JSONResponse:
            said = "You have exceeded your monthly included credits for Inference Providers."
            return JSONResponse({"error": said}, 402)

        return [Route("/hf-media/fal-ai/{path:path}", refuse, methods=["POST"]), *sandbox.routes(box)]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("402", QuotaExceededError),
        ("403", PermissionDeniedError),
        ("404", ModelNotFoundError),
        ("cut", StreamCutError),
        ("empty", MalformedResponseError),
        ("html", MalformedResponseError),
        ("half-json", MalformedResponseError),
    ],
)
async def test_a_fault_is_a_typed_error(
    played: Sandbox, tmp_path: Path, fault: str, kind: type[ProviderError]
) -> None:
    async with client_of(played, tmp_path) as client:
        with pytest.raises(AllProvidersFailedError) as caught:
            await client.complete(f"sandbox/fault-{fault}:together", "x")
    assert {type(attempt.error) for attempt in caught.value.attempts} == {kind}


async def test_a_refusal_ends_the_search(played: Sandbox, tmp_path: Path) -> None:
    async with client_of(played, tmp_path) as client:
        with pytest.raises(ContentFilterError, match="filter"):
            await client.complete("sandbox/fault-content-filter", "x")


async def test_a_server_error_that_passes_is_borne(played: Sandbox, tmp_path: Path) -> None:
    async with client_of(played, tmp_path) as client:
        done = await client.complete("sandbox/fault-500-once:together", "x")
    assert len(done.media) == 1


async def test_the_sandboxs_token_is_the_only_one_that_comes_by(played: Sandbox) -> None:
    assert played.environment()["PLUGMUX_HF_MEDIA_TOKEN"] == "sandbox-token"
    assert all("sandbox-token" not in f"{entry.path}{entry.body!r}" for entry in played.requests)


def _boxes(data: bytes) -> list[tuple[bytes, bytes]]:
    """The boxes of an MP4 file, one level deep."""
    found, at = [], 0
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        assert size >= 8
        found.append((kind, data[at + 8 : at + size]))
        at += size
    assert at == len(data)
    return found


def test_the_film_is_a_film() -> None:
    data = film(frames=3)
    boxes = dict(_boxes(data))
    assert list(boxes) == [b"ftyp", b"moov", b"mdat"]
    moov = boxes[b"moov"]
    sizes_at = moov.index(b"stsz") + 12
    count, *sizes = struct.unpack(">4I", moov[sizes_at : sizes_at + 16])
    [start] = struct.unpack(">I", moov[moov.index(b"stco") + 12 :][:4])
    assert (count, sum(sizes)) == (3, len(boxes[b"mdat"]))
    for size in sizes:
        [unit] = struct.unpack(">I", data[start : start + 4])
        assert (unit, data[start + 4]) == (size - 4, 0x65)
        start += size
