"""One answer from an app by script: what comes out, what goes in, what is told to the server."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from plugmux.errors import (
    DeadlineError,
    InvalidRequestError,
    MalformedResponseError,
    ServerError,
    StreamCutError,
)
from plugmux.events import Finish, Notice, Progress, Reset, Text
from plugmux.testing import Close, FaultServer, Hang, Wait, replies

Collect = Callable[..., Any]


def words(events: list[Any]) -> str:
    return "".join(event.text for event in events if isinstance(event, Text))


def kinds(events: list[Any], *wanted: type) -> list[Any]:
    return [event for event in events if isinstance(event, wanted)]


def sent(server: FaultServer, path: str) -> list[Any]:
    return [
        request.json() for request in server.requests if request.path == path and request.method == "POST"
    ]


async def test_text_comes_piece_by_piece_and_ends_with_one_finish(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    script.messages = [
        says.queued,
        says.starts,
        says.generating("Hel"),
        says.heartbeat,
        says.generating([["append", [], "lo"]]),
        says.done("Hello"),
        says.close,
    ]
    events = await collect(server.url)
    assert kinds(events, Progress) == [
        Progress(stage="queued", position=2, eta=4.5),
        Progress(stage="running", eta=1.5),
    ]
    assert kinds(events, Text) == [Text(text="Hel"), Text(text="lo")]
    assert events[-1] == Finish()
    assert len(kinds(events, Finish)) == 1


async def test_a_job_that_ended_is_not_cancelled(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    script.messages = [says.done("Hello"), says.close]
    await collect(server.url)
    assert sent(server, "/gradio_api/cancel") == []


async def test_the_join_carries_every_input(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    script.inputs = [("textbox", "prompt", {}), ("state", "", {}), ("number", "seed", {"value": 1})]
    script.messages = [says.done("Hello"), says.close]
    await collect(server.url, "a fox", seed=7)
    (body,) = sent(server, "/gradio_api/queue/join")
    assert (body["data"], body["fn_index"]) == (["a fox", None, 7.0], 3)
    fetched = next(r for r in server.requests if r.path.startswith("/gradio_api/queue/data"))
    assert fetched.path.endswith(f"?session_hash={body['session_hash']}")
    assert fetched.headers["x-gradio-user"] == "api"


async def test_messages_of_other_jobs_are_left_alone(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    other = {**says.done("not yours"), "event_id": "job-2"}
    script.messages = [other, says.done("Hello"), says.close]
    assert words(await collect(server.url)) == "Hello"


async def test_a_broken_diff_costs_the_pieces_and_not_the_answer(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    script.messages = [
        says.generating("one"),
        says.generating([["delete", [3], None]]),
        says.generating([["append", [], " lost"]]),
        says.done("one two three"),
        says.close,
    ]
    assert kinds(await collect(server.url), Text) == [Text(text="one"), Text(text=" two three")]


async def test_text_that_is_replaced_is_taken_back(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    script.messages = [says.generating("Thinking…"), says.done("Hello"), says.close]
    found = kinds(await collect(server.url), Text, Reset)
    assert found == [Text(text="Thinking…"), Reset(why="the app replaced its text"), Text(text="Hello")]


async def test_sse_v1_gives_whole_values(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    script.protocol = "sse_v1"
    script.messages = [says.generating("one"), says.generating("one two"), says.done("one two"), says.close]
    assert kinds(await collect(server.url), Text) == [Text(text="one"), Text(text=" two")]


async def test_three_malformed_messages_are_skipped_and_told(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    script.messages = [b"data: {half\n\n"] * 3 + [says.done("Hello"), says.close]
    events = await collect(server.url)
    assert words(events) == "Hello"
    assert [n.code for n in kinds(events, Notice)] == ["malformed-chunk"]


async def test_a_fourth_malformed_message_is_a_cut(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    script.messages = [b"data: {half\n\n"] * 4 + [says.done("Hello"), says.close]
    with pytest.raises(StreamCutError, match="malformed"):
        await collect(server.url)


async def test_a_server_killed_in_mid_job_is_a_cut_and_no_answer(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    script.messages = [says.starts, says.generating("Hel")]
    script.after = [Close()]
    with pytest.raises(StreamCutError):
        await collect(server.url)


async def test_a_stream_that_ends_without_a_result_is_a_cut(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    script.messages = [says.starts, says.generating("Hel"), says.close]
    with pytest.raises(StreamCutError, match="before the job was over"):
        await collect(server.url)


async def test_an_answer_that_is_no_stream_is_malformed(
    server: FaultServer, script: Any, collect: Collect
) -> None:
    script.answers["/gradio_api/queue/data"] = replies.html()
    with pytest.raises(MalformedResponseError):
        await collect(server.url)


async def test_an_unknown_session_is_a_cut(server: FaultServer, script: Any, collect: Collect) -> None:
    gone = {
        "msg": "unexpected_error",
        "event_id": None,
        "message": "404: Not Found",
        "session_not_found": True,
    }
    script.messages = [gone]
    script.after = [Close()]
    with pytest.raises(StreamCutError, match="session"):
        await collect(server.url)


async def test_an_error_of_the_app_is_raised_after_what_it_said(
    server: FaultServer, script: Any, says: Any, ask: Collect
) -> None:
    script.messages = [says.generating("one"), says.failed("failed after one", "Error"), says.close]
    seen = []
    stream = await ask(server.url)

    async def read() -> None:
        async for event in stream:
            seen.append(event)  # noqa: PERF401  what came before the error counts

    with pytest.raises(ServerError, match="failed after one"):
        await read()
    assert words(seen) == "one"
    assert not kinds(seen, Finish)


async def test_a_full_queue_is_told(server: FaultServer, script: Any, collect: Collect) -> None:
    full = {"detail": "Queue is full. Max size is 3 and size is 3."}
    script.answers["/gradio_api/queue/join"] = replies.json(full, status=503)
    with pytest.raises(ServerError, match="Queue is full") as caught:
        await collect(server.url)
    assert caught.value.code == "queue-full"
    assert caught.value.retryable


async def test_leaving_a_running_job_tells_the_app(
    server: FaultServer, script: Any, says: Any, ask: Collect
) -> None:
    script.messages = [says.starts, says.generating("one")]
    script.after = [Hang()]
    stream = await ask(server.url)
    async for event in stream:
        if isinstance(event, Text):
            break
    await stream.aclose()
    (body,) = sent(server, "/gradio_api/cancel")
    (join,) = sent(server, "/gradio_api/queue/join")
    assert body == {"session_hash": join["session_hash"], "fn_index": 3, "event_id": "job-1"}


async def test_a_cancelled_caller_tells_the_app(
    server: FaultServer, script: Any, says: Any, ask: Collect
) -> None:
    script.messages = [says.queued]
    script.after = [Hang()]

    async def read() -> None:
        stream = await ask(server.url)
        try:
            async for event in stream:
                if isinstance(event, Progress):
                    tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await stream.aclose()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
    assert len(sent(server, "/gradio_api/cancel")) == 1


async def test_a_caller_who_leaves_before_the_job_has_a_number_takes_it_back_all_the_same(
    server: FaultServer, script: Any, ask: Collect
) -> None:
    script.answers["/gradio_api/queue/join"] = [Hang()]
    stream = await ask(server.url)

    async def read() -> None:
        async for _ in stream:
            pass

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await server.wait_for(3)  # after /config and /info
        tasks.cancel_scope.cancel()
    (join,) = sent(server, "/gradio_api/queue/join")
    left = [r.path for r in server.requests if r.path.startswith("/gradio_api/queue/data")]
    assert left == [f"/gradio_api/queue/data?session_hash={join['session_hash']}"]


async def test_a_refused_job_is_not_taken_back(server: FaultServer, script: Any, collect: Collect) -> None:
    script.answers["/gradio_api/queue/join"] = replies.json({"detail": "no"}, status=400)
    with pytest.raises(InvalidRequestError):
        await collect(server.url)
    assert server.requests[-1].path.endswith("/queue/join")


async def test_a_cancel_that_fails_does_not_hide_the_error(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    script.answers["/gradio_api/cancel"] = replies.json({}, status=500)
    script.messages = [says.starts]
    script.after = [Close()]
    with pytest.raises(StreamCutError):
        await collect(server.url)


async def test_a_queue_has_its_deadline(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    script.messages = [says.queued]
    script.after = [Hang()]
    with pytest.raises(DeadlineError) as caught:
        await collect(server.url, settings={"queue_limit": 0.2})
    assert (caught.value.limit, caught.value.seconds) == ("queue", 0.2)
    assert len(sent(server, "/gradio_api/cancel")) == 1


async def test_work_has_its_deadline_even_if_the_app_talks_for_ever(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    script.messages = [says.starts, *[says.generating(f"{i}") for i in range(2)], *[says.heartbeat] * 1000]
    script.pause = 0.01
    with pytest.raises(DeadlineError) as caught:
        await collect(server.url, settings={"run_limit": 0.3})
    assert caught.value.limit == "run"
    assert len(sent(server, "/gradio_api/cancel")) == 1


async def test_a_slow_queue_does_not_eat_the_time_for_work(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    first = replies.stream([b'data: {"msg":"process_starts","event_id":"job-1"}\n\n'], after=[Wait(0.3)])
    done = f"data: {json.dumps({**says.done('Hello'), 'event_id': 'job-1'})}\n\n".encode()
    rest = [replies.Send(replies.chunk(done)), replies.Send(b"0\r\n\r\n")]
    script.answers["/gradio_api/queue/data"] = [*first, *rest]
    assert words(await collect(server.url, settings={"queue_limit": 0.2, "run_limit": 5})) == "Hello"
