"""Apps that changed, and requests that they cannot do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from plugmux.errors import InvalidRequestError, ModelNotFoundError, ProviderError, ServerError
from plugmux.events import Media, Notice, Text
from plugmux.model import Model
from plugmux.testing import FaultServer, replies

Collect = Callable[..., Any]


def words(events: list[Any]) -> str:
    return "".join(event.text for event in events if isinstance(event, Text))


def kinds(events: list[Any], *wanted: type) -> list[Any]:
    return [event for event in events if isinstance(event, wanted)]


def sent(server: FaultServer, path: str) -> list[Any]:
    return [
        request.json() for request in server.requests if request.path == path and request.method == "POST"
    ]


async def test_a_job_that_failed_has_the_app_read_anew(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    script.messages = [says.failed(None), says.close]
    with pytest.raises(ServerError):
        await collect(server.url)
    script.messages = [says.done("Hello"), says.close]
    assert words(await collect(server.url)) == "Hello"
    assert len([r for r in server.requests if r.path == "/config"]) == 2


async def test_a_description_is_read_once_for_many_jobs(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    script.messages = [says.done("Hello"), says.close]
    await collect(server.url)
    await collect(server.url)
    assert len([r for r in server.requests if r.path == "/config"]) == 1


@pytest.mark.parametrize("url", ["/etc/passwd", "file:///etc/passwd", "ftp://x/y.png"])
async def test_a_message_names_no_file_of_this_machine(
    server: FaultServer, painter: Any, collect: Collect, url: str
) -> None:
    painter.inputs = [("image", "input_image", {}), ("textbox", "prompt", {})]
    message = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}
    with pytest.raises(InvalidRequestError, match="wants a data"):
        await collect(server.url, [message])
    assert not [r for r in server.requests if r.path == "/gradio_api/upload"]


async def test_an_image_at_a_private_address_is_not_fetched_for_an_app(
    server: FaultServer, painter: Any, collect: Collect
) -> None:
    painter.inputs = [("image", "input_image", {}), ("textbox", "prompt", {})]
    url = "http://169.254.169.254/latest/meta-data"
    message = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}
    with pytest.raises(InvalidRequestError, match=r"cannot fetch the file to send: .* private address"):
        await collect(server.url, [message])


async def test_of_before_and_after_the_after_is_given(
    server: FaultServer, painter: Any, says: Any, collect: Collect, picture: bytes
) -> None:
    painter.outputs = [("imageslider", "Result", {})]
    painter.files = {"/tmp/after.png": picture}
    painter.messages = [says.done([says.file("/tmp/before.png"), says.file("/tmp/after.png")]), says.close]
    (media,) = kinds(await collect(server.url), Media)
    assert media.url is not None
    assert media.url.endswith("after.png")


async def test_a_changed_schema_is_told_once(
    server: FaultServer, script: Any, says: Any, collect: Collect, open_session: Any
) -> None:
    script.messages = [says.done("Hello"), says.close]
    assert "schema-changed" not in [n.code for n in kinds(await collect(server.url), Notice)]
    script.inputs = [*script.inputs, ("number", "style", {"value": 1})]
    shelf = open_session()._resources._open["hf-space:apps"]
    shelf.forget(await shelf.app(open_session(), server.url))
    changed = kinds(await collect(server.url), Notice)
    assert [notice.code for notice in changed] == ["schema-changed"]
    assert kinds(await collect(server.url), Notice) == []


async def test_a_task_that_the_app_does_not_do_is_named_with_what_it_does(
    server: FaultServer, collect: Collect
) -> None:
    with pytest.raises(InvalidRequestError, match=r"text-to-video.*text-generation"):
        await collect(server.url, task="text-to-video")


async def test_an_endpoint_that_is_not_there_is_named_with_those_that_are(
    server: FaultServer, says: Any, collect: Collect, open_session: Any
) -> None:
    named = Model(id="nope", source="named")
    with pytest.raises(InvalidRequestError, match="no endpoint #nope; it does #run: text-generation"):
        await collect(server.url, model=named, session=open_session(base_url=server.url))


@pytest.mark.parametrize("name", ["run", "org/model"])
async def test_a_name_that_was_passed_through_does_what_the_app_does(
    server: FaultServer,
    painter: Any,
    says: Any,
    collect: Collect,
    open_session: Any,
    picture: bytes,
    name: str,
) -> None:
    painter.files = {"/tmp/1.png": picture}
    painter.messages = [says.done(says.file("/tmp/1.png"), 42), says.close]
    named = Model(id=name, source="named")
    events = await collect(server.url, model=named, session=open_session(base_url=server.url))
    assert len(kinds(events, Media)) == 1


@pytest.fixture
def demanding(script: Any, says: Any) -> Any:
    """An app with a parameter that has no default and means nothing to us."""
    script.inputs = [("textbox", "prompt", {}), ("number", "depth", {})]
    script.messages = [says.done("Hello"), says.close]
    return script


async def test_a_parameter_without_a_default_may_be_given_in_the_extra_body(
    server: FaultServer, demanding: Any, collect: Collect
) -> None:
    assert words(await collect(f"{server.url}#run", "hi", extra_body={"depth": 3})) == "Hello"
    (join,) = sent(server, "/gradio_api/queue/join")
    assert join["data"] == ["hi", 3.0]


async def test_a_parameter_without_a_default_that_nobody_gives_is_named(
    server: FaultServer, demanding: Any, collect: Collect
) -> None:
    with pytest.raises(InvalidRequestError, match=r"#run cannot be called: .* 'depth' has no default"):
        await collect(f"{server.url}#run", "hi")


async def test_what_of_an_override_means_nothing_is_told(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    script.messages = [says.done("Hello"), says.close]
    override = {
        "endpoint": "/nope",
        "parameters": {"text": "negative_prompt"},
        "values": {"stile": "oil"},
    }
    events = await collect(server.url, settings={"overrides": {server.url: override}})
    told = [notice.message for notice in kinds(events, Notice) if notice.code == "override-ignored"]
    assert told == [
        "of the override, endpoint: there is no /nope",
        "of the override, parameters: no parameter is called 'text'",
        "of the override, values: no parameter is called 'stile'",
    ]


async def test_an_override_that_fits_is_not_told(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    script.inputs = [("textbox", "txt", {}), ("textbox", "style", {"value": "ink"})]
    script.messages = [says.done("Hello"), says.close]
    override = {"endpoint": "/run", "parameters": {"txt": "prompt"}, "values": {"style": "oil"}}
    events = await collect(server.url, "hi", settings={"overrides": {server.url: override}})
    assert kinds(events, Notice) == []
    (join,) = sent(server, "/gradio_api/queue/join")
    assert join["data"] == ["hi", "oil"]


async def test_a_page_that_is_no_app_is_told(server: FaultServer, script: Any, collect: Collect) -> None:
    script.answers["/config"] = replies.json({"hello": "world"})
    with pytest.raises(ModelNotFoundError, match="not a Gradio app"):
        await collect(server.url)


async def test_a_page_of_html_is_told(server: FaultServer, script: Any, collect: Collect) -> None:
    script.answers["/config"] = replies.html()
    with pytest.raises(ServerError, match="no Gradio app answers"):
        await collect(server.url)


async def test_an_app_behind_a_login_says_that_it_is(
    server: FaultServer, script: Any, collect: Collect
) -> None:
    script.answers["/config"] = replies.json({"detail": "Not authenticated"}, status=401)
    with pytest.raises(ProviderError, match="Not authenticated"):
        await collect(server.url)


async def test_headers_of_the_caller_go_along(
    server: FaultServer, script: Any, says: Any, collect: Collect
) -> None:
    script.messages = [says.done("Hello"), says.close]
    await collect(server.url, extra_headers={"x-mine": "yes"})
    join = next(r for r in server.requests if r.path.endswith("/queue/join"))
    assert join.headers["x-mine"] == "yes"
