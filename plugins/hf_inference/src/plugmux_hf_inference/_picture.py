"""The picture road: the two image routes whose wire `plugmux.huggingface.images` knows."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial
from typing import TYPE_CHECKING

import anyio.to_thread

from plugmux.events import Event, Finish, Notice, ServedBy
from plugmux.huggingface import images
from plugmux.huggingface.failures import error_of
from plugmux.media import MediaKind
from plugmux.statuses import request_id_of
from plugmux_hf_inference._places import place_of
from plugmux_hf_inference._static import RAW

if TYPE_CHECKING:
    from plugmux.requests import Request
    from plugmux.session import Session

__all__ = ["picture"]


async def picture(request: Request, session: Session) -> AsyncGenerator[Event, None]:
    """A picture, complete or not at all."""
    place = place_of(session)
    model = request.model
    encode = images.hf_inference_request if model.upstream == RAW else images.together_request
    asked = encode(model.remote_id, request.prompt, request.options)
    headers = {**place.headers, **asked.headers, **(request.options.extra_headers or {})}
    body = asked.body | dict(request.options.extra_body or {})
    url = f"{place.endpoints.router}/{asked.path}"
    answer = await session.http.request("POST", url, json=body, headers=headers, error=error_of)
    for name in asked.ignored:
        said = f"{name} cannot be sent to this model"
        yield Notice(code="option-ignored", option=name, message=said)
    yield ServedBy(model=model.id, upstream=model.upstream, request_id=request_id_of(answer.headers))
    read = partial(images.image_of, answer, prompt=request.prompt)
    drawn = await anyio.to_thread.run_sync(read)  # megabytes of base64
    if isinstance(drawn, str):
        drawn = await session.download(drawn, kind=MediaKind.IMAGE, own=[place.endpoints.router])
    yield drawn
    yield Finish()
