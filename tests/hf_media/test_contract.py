"""What every provider promises, for a picture in one answer and for a job that is followed."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, ClassVar

import anyio

from plugmux.cache import Cache
from plugmux.http import Http
from plugmux.model import Model, Task
from plugmux.requests import Limits
from plugmux.session import Session
from plugmux.stopwatch import Stopwatch
from plugmux.testing import FaultServer, SeenRequest, replies
from plugmux.testing.contract import ProviderContract
from plugmux.testing.contract.bench import until
from plugmux.testing.replies import Hang, Replies, Reply
from plugmux.transport import Transport
from plugmux_hf_media import plugin

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8).decode()


class MediaContract(ProviderContract):
    """What both have in common."""

    plugin: ClassVar[Any] = plugin
    content_type: ClassVar[str] = "application/json"
    streams: ClassVar[bool] = False
    says_its_end: ClassVar[bool] = False
    submission: ClassVar[str]

    def settings(self, url: str) -> Mapping[str, Any]:
        return {"router_url": url, "hub_url": url, "poll_seconds": 0.005}

    def script(self, main: Reply) -> Replies:
        return lambda request: main if self.is_main(request) else self.beside(request)

    def is_main(self, request: SeenRequest) -> bool:
        return request.path == self.submission

    def beside(self, request: SeenRequest) -> Reply:
        """The Hub lists one model and knows one name."""
        mapping = {"together": {"providerId": "org/picture", "status": "live", "task": "text-to-image"}}
        row = {"id": self.model.id, "pipeline_tag": "text-to-image", "inferenceProviderMapping": mapping}
        if request.path.startswith("/api/models?"):
            return replies.json([row] if "pipeline_tag=text-to-image&" in request.path else [])
        if request.path.startswith(f"/api/models/{self.model.id}"):
            return replies.json(row)
        return replies.json({"error": "Repository not found"}, status=404)

    async def test_cancel_is_never_swallowed(self) -> None:
        """As the contract has it, but without waiting for an event: half a JSON answer gives none."""
        went_on = False

        async def ask() -> None:
            nonlocal went_on
            async with stage.asking() as stream:
                async for _ in stream:
                    pass
                went_on = True

        async with self.stage(self.part(Hang())) as stage, anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            assert await until(lambda: stage.main_requests)
            tasks.cancel_scope.cancel()
        assert not went_on


class TestPictureInOneAnswer(MediaContract):
    model: ClassVar[Model] = Model(
        id="kit/picture", remote_id="org/picture", upstream="together", tasks=(Task.TEXT_TO_IMAGE,)
    )
    submission: ClassVar[str] = "/together/v1/images/generations"
    always_sent: ClassVar[frozenset[str]] = frozenset({"response_format"})

    def chunks(self) -> Sequence[bytes]:
        return [json.dumps({"data": [{"b64_json": PNG}]}).encode()]


class TestJobThatIsFollowed(MediaContract):
    model: ClassVar[Model] = Model(
        id="kit/film", remote_id="org/film", upstream="replicate", tasks=(Task.TEXT_TO_IMAGE,)
    )
    submission: ClassVar[str] = "/replicate/v1/models/org/film/predictions"

    def chunks(self) -> Sequence[bytes]:
        return [json.dumps({"id": "p1", "status": "starting"}).encode()]

    def beside(self, request: SeenRequest) -> Reply:
        if request.path == "/replicate/v1/predictions/p1":
            output = [f"data:image/png;base64,{PNG}"]
            return replies.json({"id": "p1", "status": "succeeded", "output": output})
        return super().beside(request)


async def test_a_caller_who_goes_while_a_question_hangs_is_let_go_and_the_job_cancelled(box: Any) -> None:
    job, request = (
        "/replicate/v1/predictions/p1",
        box.request_for(Task.TEXT_TO_VIDEO, "replicate", "o/m", "x"),
    )
    script = replies.by_path(
        {
            "/replicate/v1/models/o/m/predictions": replies.json({"id": "p1", "status": "starting"}),
            job: replies.in_order(replies.json({"id": "p1", "status": "processing"}), replies.no_answer()),
            f"{job}/cancel": replies.json({"status": "canceled"}),
        }
    )
    async with FaultServer(script) as server, _session(server.url) as session:
        async with anyio.create_task_group() as group:
            group.start_soon(_follow, request, session)
            hanging = await server.wait_for(3)
            went = time.monotonic()
            group.cancel_scope.cancel()
        assert await hanging.wait_left() - went < 0.1
        told = await server.wait_for(4)
    assert (told.method, told.path) == ("POST", f"{job}/cancel")


async def _follow(request: Any, session: Session) -> None:
    async with aclosing(plugin.create_stream(request=request, session=session)) as events:
        async for _ in events:
            pass


@asynccontextmanager
async def _session(url: str) -> AsyncIterator[Session]:
    transport, watch = Transport(), Stopwatch(Limits(total=20))
    try:
        yield Session(
            provider="hf-media",
            settings={"router_url": url, "hub_url": url, "poll_seconds": 0.005},
            http=Http(transport, watch, None),
            cache=Cache(None),
            limits=watch.limits,
            watch=watch,
            transport=transport,
            environ={},
        )
    finally:
        await transport.aclose()
