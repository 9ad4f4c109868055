"""What one call says: its policy, its attachments, and the conversation that it goes on with."""

import io
import os
import threading

import pytest

from plugmux import (
    AllProvidersFailedError,
    AsyncClient,
    Conversation,
    Finish,
    InvalidInputError,
    Media,
    Message,
    Notice,
    Policy,
    Pricing,
    StreamCutError,
    Text,
    Usage,
    hookimpl,
)
from plugmux.messages import ProviderState


async def test_a_calls_policy_goes_over_the_configured_one_key_by_key(client, scripted, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "config.toml").write_text('[policy]\nignore = ["a"]\nsort = "price"\n')
    one = client(a=scripted(), b=scripted())
    assert (await one.complete("org/model", "hi", policy={"order": ["a"]})).provider == "b"
    assert (await one.complete("org/model", "hi", policy={"ignore": ["b"]})).provider == "a"
    assert (await one.complete("org/model", "hi", policy=Policy(ignore=("b",)))).provider == "a"


async def test_a_path_in_the_environment_need_not_be_unicode(client, scripted):
    environ = {"HF_HOME": os.fsdecode(b"/nowhere/caf\xe9")}
    assert (await client(a=scripted(), environ=environ).complete("org/model", "hi")).text == "hello"


async def test_a_home_folder_need_not_be_known(client, scripted):
    environ = {"HF_HOME": "~nobody-of-this-name/huggingface"}
    assert (await client(a=scripted(), environ=environ).complete("org/model", "hi")).text == "hello"


@pytest.mark.parametrize("n", [None, 1, 4])
async def test_an_open_file_is_read_once_for_all_answers(client, scripted, n):
    picture = Media.from_bytes(b"\x89PNG\r\n\x1a\n", kind="image")
    a = scripted(*[[picture, Finish()] for _ in range(4)], tasks=("image-to-image",))
    done = await client(a=a).complete("org/model", "x", image=io.BytesIO(b"a picture"), n=n)
    assert done.notices == ()
    assert len(done.media) == (n or 1)
    assert {request.options.image.data for request in a.requests} == {b"a picture"}


async def test_several_pictures_by_one_seed_are_not_one_picture(client, scripted):
    picture = Media.from_bytes(b"\x89PNG\r\n\x1a\n", kind="image")
    a = scripted(*[[picture, Finish()] for _ in range(3)], tasks=("text-to-image",))
    await client(a=a).complete("org/model", "x", seed=7, n=3)
    assert sorted(request.options.seed for request in a.requests) == [7, 8, 9]


async def test_several_answers_have_the_time_of_one_request(client, scripted, clock):
    class Slow(scripted):
        @hookimpl
        async def create_stream(self, request, session):
            self.requests.append(request)
            clock.now += 4
            yield Text(text="x")
            yield Finish()

    a = Slow()
    done = await client(a=a).complete("org/model", "x", n=8, timeout=10)
    assert 0 < len(a.requests) < 8
    assert any(notice.code == "answer-failed" for notice in done.notices)


async def test_the_time_for_a_request_bounds_reading_its_attachment_too(client, scripted):
    class Pipe:
        def __init__(self):
            self.filled = threading.Event()

        def read(self):
            self.filled.wait(10)
            return b"a picture"

    pipe = Pipe()
    one = client(a=scripted(tasks=("image-to-image",)))
    with pytest.raises(AllProvidersFailedError, match=r"the 0\.05 s were over"):
        await one.complete("org/model", "x", image=pipe, timeout=0.05)
    assert not pipe.filled.is_set()
    pipe.filled.set()


@pytest.mark.parametrize(
    ("field", "value"), [("limits", 3), ("token", 7), ("conversation", "one"), ("model", 7)]
)
async def test_an_argument_of_a_wrong_kind_is_named(client, scripted, field, value):
    arguments = {"model": "org/model", "messages": "x", field: value}
    with pytest.raises(InvalidInputError) as caught:
        await client(a=scripted()).complete(**arguments)
    assert caught.value.field == field


@pytest.mark.parametrize("as_part", [True, False])
async def test_a_picture_makes_it_a_task_that_reads_one(client, scripted, as_part):
    url = "https://example.com/a.png"
    said = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]
    given = {"messages": said} if as_part else {"messages": "x", "image": url}
    a = scripted(tasks=("text-to-image", "image-to-image"))
    await client(a=a).complete("org/model", **given)
    assert a.requests[0].task == "image-to-image"


def test_a_clients_token_of_a_wrong_kind_is_named(settings):
    with pytest.raises(InvalidInputError, match="token: expected text, got int"):
        AsyncClient(token=5, settings=settings())


@pytest.mark.parametrize(
    ("meant", "asked"),
    [("a::org/model", ["org/model"]), ("org/model", ["org/model"]), ("a::new:tag", ["new:tag"])],
)
async def test_an_alias_may_pin_a_provider(client, scripted, tmp_path, meant, asked):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "config.toml").write_text(f'[aliases]\nmine = "{meant}"\n')
    a, b = scripted(latency=0.1), scripted(latency=0.2)
    done = await client(a=a, b=b).complete("mine", "hi")
    assert [request.model.remote_id for request in a.requests] == asked
    assert done.trace.model == "mine"
    assert {dropped.model.provider for dropped in done.trace.dropped} <= {"b"}


async def test_several_answers_cost_what_they_cost_together(client, scripted):
    used = Usage(prompt_tokens=10, completion_tokens=1_000_000, total_tokens=1_000_010)
    a = scripted(*[[Text(text="x"), used, Finish()] for _ in range(2)], pricing=Pricing(input=0, output=3))
    done = await client(a=a).complete("org/model", "x", n=2)
    assert done.cost == 6
    assert done.usage_total == used + used
    assert done.usage == used


async def test_a_file_that_cannot_be_read_is_one_error_for_all_answers(client, scripted):
    one = client(a=scripted(tasks=("image-to-image",)))
    with pytest.raises(InvalidInputError, match="image: cannot read"):
        await one.complete("org/model", "x", image="/nowhere/a.png", n=4)


@pytest.mark.parametrize(
    ("before", "roles", "covered"),
    [
        (["system:S", "user:one"], ["system:S", "user:one", "user:two"], 2),
        (["system:other", "user:one"], ["system:S", "user:one", "user:two"], None),
        (["user:one"], ["system:S", "user:one", "user:two"], None),
        ([], ["system:S", "user:two"], None),
    ],
    ids=["the same", "another", "a new one", "the first"],
)
async def test_a_conversation_has_one_system_message(client, scripted, before, roles, covered):
    said = [Message(role=role, content=text) for role, _, text in (one.partition(":") for one in before)]
    state = ProviderState(provider="a", model="org/model", covers=len(said), state={"id": 1})
    talk = Conversation(messages=tuple(said), states=(state,) if said else ())
    a = scripted()
    done = await client(a=a).complete("org/model", "two", system="S", conversation=talk)
    (request,) = a.requests
    assert [f"{message.role}:{message.text}" for message in request.messages] == roles
    assert request.state == ({"id": 1} if covered else None)
    assert len(request.messages) - len(request.new_messages) == (covered or 0)
    assert [message.role for message in done.conversation.messages].count("system") == 1


def spoken(conversation) -> list[str]:
    return [f"{message.role}:{message.text}" for message in conversation.messages]


async def test_a_conversation_is_gone_on_with_where_its_last_answer_ended(client, scripted):
    a = scripted([Text(text="One, two,"), Finish(reason="length")], [Text(text=" three."), Finish()])
    one = client(a=a)
    begun = await one.complete("org/model", "Count.")
    done = await one.complete("org/model", [], conversation=begun.conversation, action="continue")
    assert [message.role for message in a.requests[1].messages] == ["user", "assistant"]
    assert spoken(done.conversation) == ["user:Count.", "assistant:One, two, three."]


async def test_an_answer_gone_on_with_can_break_and_be_gone_on_with(client, scripted):
    a = scripted([Text(text=" two,"), StreamCutError("cut")], latency=0.1)
    b = scripted([Text(text=" three."), Finish()], latency=0.2, capabilities={"prefill": True})
    said = [{"role": "user", "content": "Count."}, {"role": "assistant", "content": "One,"}]
    done = await client(a=a, b=b).complete(
        "org/model", said, action="continue", policy={"on_break": "continue"}
    )
    assert [message.text for message in b.requests[0].messages] == ["Count.", "One, two,"]
    assert done.text == " two, three."
    assert spoken(done.conversation) == ["user:Count.", "assistant:One, two, three."]


async def test_where_nobody_can_go_on_the_answer_is_a_message_of_its_own(client, scripted):
    ignored = Notice(code="option-ignored", option="action", message="cannot")
    said = [{"role": "user", "content": "Count."}, {"role": "assistant", "content": "One,"}]
    a = scripted([ignored, Text(text="One."), Finish()])
    done = await client(a=a).complete("org/model", said, action="continue")
    assert spoken(done.conversation) == ["user:Count.", "assistant:One,", "assistant:One."]


async def test_a_conversation_without_a_message_needs_a_prompt(client, scripted):
    with pytest.raises(InvalidInputError, match="no message given"):
        await client(a=scripted()).complete("org/model", [], conversation=Conversation())
