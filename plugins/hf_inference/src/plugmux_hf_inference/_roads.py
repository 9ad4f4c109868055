"""Which road a request takes: chat, one flat prompt, or a picture.

Chat if the router lists the model or the Hub's mapping says `conversational`; else one flat prompt. A road
is imported when it is taken.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial
from typing import TYPE_CHECKING

from plugmux.errors import InvalidRequestError
from plugmux.events import Event
from plugmux.model import Task
from plugmux_hf_inference._exchange import answer
from plugmux_hf_inference._places import is_own
from plugmux_hf_inference._static import RAW

if TYPE_CHECKING:
    from plugmux.requests import Request
    from plugmux.session import Session

__all__ = ["stream_of"]


def stream_of(request: Request, session: Session) -> AsyncGenerator[Event, None]:
    """The answer by the road that its model was found on, else by the one of its task.

    Raises InvalidRequestError for a task that has no road: a model that was never looked up is taken at the
    caller's word.
    """
    if request.task not in _TASKS:
        raise InvalidRequestError(
            f"chat, text and pictures are made here, no {request.task.value}", param="task"
        )
    road = request.model.extra.get("road")
    if road == "image" or request.task is Task.TEXT_TO_IMAGE:
        from plugmux_hf_inference._picture import picture

        return picture(request, session)
    if road in ("text", "completions") or _asks_for_text(request, session):
        from plugmux_hf_inference._text import text_exchange

        return answer(partial(text_exchange, request, session))
    from plugmux_hf_inference._chat import chat_exchange

    return answer(partial(chat_exchange, request, session))


_TASKS = (Task.CONVERSATIONAL, Task.IMAGE_TEXT_TO_TEXT, Task.TEXT_GENERATION, Task.TEXT_TO_IMAGE)


def _asks_for_text(request: Request, session: Session) -> bool:
    return request.task is Task.TEXT_GENERATION and (is_own(session) or request.model.upstream == RAW)
