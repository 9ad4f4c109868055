"""What a media model is not told."""

import pytest

from plugmux.huggingface.unsaid import unsaid
from plugmux.messages import Message, messages_from
from plugmux.model import Model, Task
from plugmux.requests import Request

IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}


def asked(*messages):
    model = Model(id="org/model", provider="p", tasks=(Task.TEXT_TO_IMAGE,))
    given = messages_from([{"role": role, "content": content} for role, content in messages])
    return Request(id="r", model=model, task=Task.TEXT_TO_IMAGE, messages=given)


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([("user", "a fox")], []),
        ([("user", [{"type": "text", "text": "a fox"}])], []),
        ([("system", "be kind"), ("user", "a fox")], ["text-to-image takes no system prompt"]),
        (
            [("user", [{"type": "text", "text": "a fox"}, IMAGE, IMAGE])],
            ["text-to-image takes no image_url parts of messages"],
        ),
        ([("user", [IMAGE]), ("assistant", "a fox"), ("user", "a red one")], []),
    ],
)
def test_what_is_not_told_is_said_once(messages, said):
    assert [notice.message for notice in unsaid(asked(*messages))] == said


def test_parts_are_left_to_who_sends_them():
    assert unsaid(asked(("user", [IMAGE])), parts=False) == []


def test_a_message_without_content_has_no_parts():
    model = Model(id="org/model", provider="p", tasks=(Task.TEXT_TO_IMAGE,))
    request = Request(id="r", model=model, task=Task.TEXT_TO_IMAGE, messages=(Message(role="user"),))
    assert unsaid(request) == []
