"""The picture road: the image routes whose wire `plugmux.huggingface.images` knows."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial
from typing import TYPE_CHECKING

import anyio.to_thread

from plugmux.events import Event, Finish, Notice, ServedBy
from plugmux.huggingface import images
from plugmux.huggingface.unsaid import unsaid
from plugmux.media import MediaKind
from plugmux.statuses import request_id_of
from plugmux_hf_inference._places import Place, error_reader, place_of
from plugmux_hf_inference._static import RAW
from plugmux_hf_inference._wire import with_extra

if TYPE_CHECKING:
    from plugmux.requests import Request
    from plugmux.session import Session

__all__ = ["picture"]


async def picture(request: Request, session: Session) -> AsyncGenerator[Event, None]:
    """A picture, complete or not at all."""
    place = place_of(session)
    model = request.model
    service, asked = _asked(request, place)
    headers = {**place.headers, **asked.headers, **(request.options.extra_headers or {})}
    body = with_extra(asked.body, request.options.extra_body)
    url, reader = f"{service}/{asked.path}", error_reader(session, place)
    answer = await session.http.request("POST", url, json=body, headers=headers, error=reader)
    for notice in unsaid(request):
        yield notice
    for name in asked.ignored:
        said = f"{name} cannot be sent to this model"
        yield Notice(code="option-ignored", option=name, message=said)
    yield ServedBy(model=model.id, upstream=model.upstream, request_id=request_id_of(answer.headers))
    read = partial(images.image_of, answer, prompt=request.prompt)
    drawn = await anyio.to_thread.run_sync(read)  # megabytes of base64
    if isinstance(drawn, str):
        drawn = await session.download(drawn, kind=MediaKind.IMAGE, own=[service])
    yield drawn
    yield Finish()


def _asked(request: Request, place: Place) -> tuple[str, images.ImageRequest]:
    """The URL of the service, and what to post below it: a server of one's own is asked in OpenAI's shape."""
    model = request.model
    if place.is_own:
        return place.api, images.openai_request(model.remote_id, request.prompt, request.options)
    encode = images.hf_inference_request if model.upstream == RAW else images.together_request
    return place.endpoints.router, encode(model.remote_id, request.prompt, request.options)
