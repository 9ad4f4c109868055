"""The pictures that a request brings."""

import pytest

from plugmux.attachments import Attachment
from plugmux.errors import InvalidRequestError
from plugmux.huggingface.pictures import pictures_of
from plugmux.messages import messages_from
from plugmux.model import Model, Task
from plugmux.requests import Options, Request

AT_A_URL = "https://example.com/a.png"
IN_ITSELF = "data:image/png;base64,aGVsbG8="


def asked(*contents, **options):
    messages = messages_from([{"role": "user", "content": content} for content in contents])
    model = Model(id="org/model", provider="p", tasks=(Task.IMAGE_TO_IMAGE,))
    return Request(
        id="r", model=model, task=Task.IMAGE_TO_IMAGE, messages=messages, options=Options(**options)
    )


def picture(url):
    return {"type": "image_url", "image_url": {"url": url}}


async def test_the_pictures_are_those_of_the_last_message():
    found = await pictures_of(
        asked([picture("https://example.com/old.png")], [picture(AT_A_URL), picture(IN_ITSELF)])
    )
    assert [(one.url, one.data) for one in found] == [(AT_A_URL, None), (None, b"hello")]


async def test_the_option_comes_before_the_message():
    given = Attachment(data=b"given")
    assert await pictures_of(asked([picture(AT_A_URL)], image=given)) == [given]


async def test_words_and_parts_of_other_kinds_are_no_pictures():
    assert await pictures_of(asked("a fox")) == []
    assert await pictures_of(asked([{"type": "text", "text": "a fox"}, {"type": "image_url"}])) == []


@pytest.mark.parametrize("url", ["/etc/hosts", "file:///etc/hosts", "data:image/png;base64,!", "data:,x", ""])
async def test_what_is_no_pictures_url_is_the_requests_fault(url):
    with pytest.raises(InvalidRequestError) as caught:
        await pictures_of(asked([picture(url)]))
    assert caught.value.param == "image"
