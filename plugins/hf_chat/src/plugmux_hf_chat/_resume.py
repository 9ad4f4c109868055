"""Taking up a run that goes on in the server: `GET /conversation/ID/stream` (new in July 2026)."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator

from plugmux.errors import InvalidRequestError, StreamCutError
from plugmux.events import Event
from plugmux_hf_chat._answer import Answer, StoredFile
from plugmux_hf_chat._conversation import State
from plugmux_hf_chat._errors import not_a_stream
from plugmux_hf_chat._http import Site

__all__ = ["resumed"]

FRUITLESS = 3
"""Connections without any news after which a run is given up."""


async def resumed(site: Site, state: State, answer: Answer) -> AsyncGenerator[Event | StoredFile, None]:
    """The run from its beginning to its end. `answer` skips what it knows, if told so before.

    The server closes the connection every five minutes; a close without an end means: come again, after
    the event last seen. Raises InvalidRequestError if the run is no longer there.
    """
    path = f"/conversation/{state.conversation}/stream?generationId={state.generation}"
    seen, fruitless = "", 0
    while fruitless < FRUITLESS:
        before = seen
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": seen} if seen else {})
        async with site.events("GET", path, headers=headers, lines=False) as source:
            if source.content_type != "text/event-stream":
                raise not_a_stream(await source.read())
            try:
                async for event in source:
                    seen = event.id or seen
                    if event.event == "end":
                        _end(answer, event.data)
                        return
                    for piece in answer.feed(event.data) if event.event == "update" else ():
                        yield piece
            except StreamCutError:
                if answer.failed:
                    raise
        fruitless = fruitless + 1 if seen == before else 0
    raise StreamCutError("the run could not be taken up again")


def _end(answer: Answer, data: bytes) -> None:
    try:
        status = str(json.loads(data)["status"])
    except (ValueError, KeyError, TypeError) as error:
        raise StreamCutError("the run ended in an unknown way") from error
    if status == "gone":
        raise InvalidRequestError("the run is no longer there", param="extra_body", code="run-gone")
    answer.end(status)
