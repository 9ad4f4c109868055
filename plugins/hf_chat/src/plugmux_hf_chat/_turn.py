"""One turn with a chat-ui server: find or make the conversation, then run."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import anyio
from attrs import evolve

from plugmux.attachments import Attachment
from plugmux.errors import DeadlineError, InvalidRequestError, MalformedResponseError, ProviderError
from plugmux.events import Event, MediaKind, Notice
from plugmux.requests import Request
from plugmux.stopwatch import Stopwatch
from plugmux_hf_chat import _wire
from plugmux_hf_chat._conversation import Chat, State, chat_of
from plugmux_hf_chat._errors import GONE, conceal
from plugmux_hf_chat._http import Site
from plugmux_hf_chat._options import prepared
from plugmux_hf_chat._run import Place, resume, run
from plugmux_hf_chat._work import Work, work_of

__all__ = ["Turns", "fetch_chat", "stream_turn"]


class Turns:
    """One turn at a time per conversation: a server that runs two at once loses one of them."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[anyio.Semaphore, int]] = {}

    @classmethod
    async def start(cls) -> Turns:
        return cls()

    async def enter(self, conversation: str) -> None:
        gate, users = self._waiting.get(conversation) or (anyio.Semaphore(1), 0)
        self._waiting[conversation] = gate, users + 1
        try:
            await gate.acquire()
        except BaseException:
            self._leave(conversation)
            raise

    def exit(self, conversation: str) -> None:
        self._waiting[conversation][0].release()
        self._leave(conversation)

    def _leave(self, conversation: str) -> None:
        gate, users = self._waiting.pop(conversation)
        if users > 1:
            self._waiting[conversation] = gate, users - 1

    async def aclose(self) -> None:
        """Nothing to close: turns that still run end by themselves, and leave."""


async def stream_turn(request: Request, site: Site, turns: Turns) -> AsyncGenerator[Event, None]:
    """All events of one turn. Raises a ProviderError."""
    work = work_of(request)
    for notice in work.notices:
        yield notice
    name = work.state.conversation if work.state else str(uuid.uuid4())
    await _entered(turns, name, site.session.watch)
    try:
        async with aclosing(_turn(request, site, work)) as events:
            async for event in events:
                yield event
    except ProviderError as error:
        conceal(error, site.secrets)
        raise
    finally:
        turns.exit(name)


async def _entered(turns: Turns, conversation: str, watch: Stopwatch) -> None:
    """Wait until no other turn of the conversation runs. Raises DeadlineError: an unread one lasts."""
    seconds = watch.read_timeout("first_content")
    with anyio.move_on_after(seconds):
        await turns.enter(conversation)
        return
    said = f"an earlier turn of the conversation has not ended within {seconds:g} s"
    raise DeadlineError(said, limit="first_content", seconds=seconds or 0.0)


async def _turn(request: Request, site: Site, work: Work) -> AsyncGenerator[Event, None]:
    if work.wish == "resume" and work.state is not None:
        async with aclosing(resume(site, work.state)) as events:
            async for event in events:
                yield event
        return
    place = await _place(request, site, work)
    if place is None:
        yield _RESTARTED
        place = await _fresh(request, site, work)
    servers, notices = await prepared(request, site)
    for notice in notices:
        yield notice
    try:
        async with aclosing(run(request, site, work, place, servers)) as events:
            async for event in events:
                yield event
        return
    except ProviderError as error:
        if error.code not in GONE or work.state is None or work.wish:
            raise
    yield _RESTARTED
    async with aclosing(run(request, site, work, await _fresh(request, site, work), servers)) as events:
        async for event in events:
            yield event


_RESTARTED = Notice(
    code="conversation-restarted",
    message="the server no longer has the conversation: started anew, with the history in the prompt",
)


# Where the message goes


async def _place(request: Request, site: Site, work: Work) -> Place | None:
    """The place of the next message; None if the server has forgotten the conversation."""
    if work.state is None:
        return await _fresh(request, site, work)
    try:
        chat = await fetch_chat(site, work.state.conversation)
    except ProviderError as error:
        if error.code in GONE:
            return None
        raise
    place = _next_place(chat, work, work.state)
    return place and evolve(place, files=await _attached(site, place.files))


def _next_place(chat: Chat, work: Work, old: State) -> Place | None:
    answer = chat.answer_to(old)
    state = evolve(old, generation=str(uuid.uuid4()))
    at = work.at or (answer.id if answer else None)
    if work.at and not chat.has(work.at):
        raise InvalidRequestError(f"the conversation has no message {work.at!r}", param="extra_body")
    if answer is None or at is None:
        return None
    if work.wish == "retry":
        return Place(state=state, parent=at, inputs=None, retry=True)
    tail, files = work.tail.inputs, work.tail.attachments
    if work.wish == "edit":
        question = work.at or chat.question_of(answer)
        if question is None:
            raise InvalidRequestError("there is no question to edit", param="extra_body")
        return Place(state=state, parent=question, inputs=tail, files=files, retry=True)
    return Place(state=evolve(state, parent=at), parent=at, inputs=tail, files=files)


async def _fresh(request: Request, site: Site, work: Work) -> Place:
    """A new conversation, with all messages in its first prompt."""
    files = await _attached(site, work.whole.attachments)  # first: what fails here leaves none behind
    body = _wire.creation(request.model.remote_id, work.whole.preprompt)
    chat = chat_of((await site.introduced("/conversation", json=body)).json())
    if chat.root is None:  # servers from before July 2026 tell the id only
        chat = await fetch_chat(site, chat.id)
    if chat.root is None:
        raise MalformedResponseError("the new conversation has no first message to hang a question on")
    state = State(conversation=chat.id, parent=chat.root, generation=str(uuid.uuid4()))
    return Place(state=state, parent=chat.root, inputs=work.whole.inputs, files=files)


async def _attached(site: Site, files: Sequence[Attachment]) -> tuple[Attachment, ...]:
    """The pictures to send, with their bytes. Raises InvalidRequestError for one that cannot be sent."""
    found = [await _fetched(site, file) for file in files]
    for file in found:
        _wire.bytes_of(file)
    return tuple(found)


async def _fetched(site: Site, file: Attachment) -> Attachment:
    if file.data is not None or file.url is None:
        return file
    try:
        media = await site.session.download(file.url, kind=MediaKind.IMAGE, max_bytes=_wire.MAX_FILE)
    except ProviderError as error:
        said = f"cannot fetch the picture to send: {error.message}"
        raise InvalidRequestError(said, param="image") from error
    return evolve(file, data=media.data, mime_type=media.mime_type, url=None)


async def fetch_chat(site: Site, conversation: str) -> Chat:
    """A conversation from the newest route that the server has. Raises a ProviderError."""
    last: ProviderError | None = None
    for path in (
        f"/api/v2/conversations/{conversation}",
        f"/api/conversation/{conversation}",
        f"/conversation/{conversation}/__data.json",
    ):
        try:
            # What a page's data holds back for later comes in further lines.
            body = await site.get(path, first_line=path.endswith("__data.json"))
            return chat_of(body, id=conversation)
        except MalformedResponseError as error:
            last = last or error  # no such route here: the next older one
    raise last or MalformedResponseError("no route gives the conversation")
