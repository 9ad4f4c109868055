"""The flow of one attempt: find the app, bring the files, run the job, give out what comes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import anyio
from attrs import define, evolve, field

from plugmux.errors import InvalidRequestError, MalformedResponseError, ProviderError, ServerError
from plugmux.events import ConversationState, Event, Finish, Notice, Preview, Progress, ServedBy
from plugmux.huggingface.pictures import pictures_of
from plugmux.media import Media, MediaKind
from plugmux_hf_space._app import App
from plugmux_hf_space._binding import Given, bind
from plugmux_hf_space._chat import Chat, prepare, unsent
from plugmux_hf_space._choice import choose, unmatched
from plugmux_hf_space._files import download, upload
from plugmux_hf_space._job import Job
from plugmux_hf_space._places import Place
from plugmux_hf_space._results import (
    FileData,
    Growing,
    Replay,
    files_of,
    kind_of_file,
    media_kind,
    remarks,
    shown,
)
from plugmux_hf_space._settings import SpaceSettings
from plugmux_hf_space._shelf import open_shelf
from plugmux_hf_space._spoken import attached_of, text_of, thought_of
from plugmux_hf_space._tasks import History, Verdict, fits
from plugmux_hf_space._waking import place_of_model, wake
from plugmux_hf_space._wire import Broken, Completed, Estimation, Generating, Log, Message, Report, Starts

if TYPE_CHECKING:
    from plugmux.attachments import Attachment
    from plugmux.requests import Request
    from plugmux.session import Session

__all__ = ["stream"]

SIGNATURE_SECONDS = 90 * 24 * 3600.0
MAX_FILES = 64
_ELSEWHERE = frozenset({"image", "audio", "n"})


async def stream(request: Request, session: Session) -> AsyncGenerator[Event, None]:
    """Answer one request with events. Raises a ProviderError."""
    settings = SpaceSettings.load(session.settings)
    place = place_of_model(request.model, settings)
    async with aclosing(wake(session, settings, place, request)) as waking:
        async for event in waking:
            if isinstance(event, App):
                app = event
                break
            yield event
    if (notice := _changed(session, place, app)) is not None:
        yield notice
    answer = Answer(request=request, session=session, settings=settings, place=place, app=app)
    try:
        async with aclosing(answer.events()) as events:
            async for event in events:
                yield event
    except ProviderError:
        (await open_shelf(session)).forget(app)  # it may have changed: the next attempt reads it anew
        raise


def _changed(session: Session, place: Place, app: App) -> Notice | None:
    """Spaces change without notice: say so when the description is not the one of last time."""
    key = f"signature {place.id}"
    before = session.cache.get(key, stale=True)
    if before != app.signature:
        session.cache.put(key, app.signature, seconds=SIGNATURE_SECONDS)
    if before is None or before == app.signature:
        return None
    return Notice(
        code="schema-changed",
        message=f"{place.id} has changed its parameters since it was last used; it was read anew",
    )


@define(kw_only=True)
class Answer:
    """One answer of one app in the making."""

    request: Request
    session: Session
    settings: SpaceSettings
    place: Place
    app: App
    _growing: Growing = field(factory=Growing)
    _fetched: dict[str, Media] = field(factory=dict)
    _shown: Any = None
    _next_preview: float = float("-inf")

    async def events(self) -> AsyncGenerator[Event, None]:
        verdict = choose(self.app, self._override, self.request, self.place.endpoint)
        if not fits(verdict, self.request.task):
            self.request = evolve(self.request, task=verdict.tasks[0])
        chat = prepare(self.app, verdict, self.request, self.place.id)
        for notice in (*unmatched(self.app, self._override), *unsent(self.request), *chat.notices):
            yield notice
        if chat.injection is not None:
            await self._inject(chat)
        bound = bind(verdict, self.request.task, await self._given(chat), self._override)
        for notice in bound.notices:
            yield notice
        async with aclosing(self._run(verdict, bound.data, chat)) as events:
            async for event in events:
                yield event
        if chat.state is not None:
            yield ConversationState(state=chat.state)
        yield Finish()

    @property
    def _override(self) -> Any:
        return self.settings.override_of(self.place)

    async def _given(self, chat: Chat) -> Given:
        options = {k: v for k, v in self.request.options.given().items() if k not in _ELSEWHERE}
        images = [await self._uploaded(one, MediaKind.IMAGE) for one in await pictures_of(self.request)]
        audio = self.request.options.audio
        return Given(
            prompt=chat.prompt,
            options=options | ({"system": chat.system} if chat.system else {}),
            images=images,
            audio=await self._uploaded(audio, MediaKind.AUDIO) if audio is not None else None,
            history=chat.history,
            extra=self.request.options.extra_body or {},
        )

    async def _uploaded(self, attachment: Attachment, kind: MediaKind) -> dict[str, Any]:
        return await upload(self.session, self.app, attachment, self._headers, kind)

    @property
    def _headers(self) -> Mapping[str, str]:
        return self.request.options.extra_headers or {}

    def _job(self, endpoint: Any, data: Sequence[Any], session_hash: str) -> Job:
        return Job(
            app=self.app,
            endpoint=endpoint,
            data=data,
            session=self.session,
            headers=self._headers,
            session_hash=session_hash,
            queue_limit=self.settings.queue_limit,
            run_limit=self.settings.run_limit,
        )

    async def _inject(self, chat: Chat) -> None:
        """Put the earlier messages into the session, by the page's own event."""
        assert chat.injection is not None
        job = self._job(chat.injection, [chat.history], chat.session_hash)
        async with aclosing(job.messages()) as messages:
            async for message in messages:
                if isinstance(message, Completed) and message.error is not None:
                    raise message.error

    async def _run(self, verdict: Verdict, data: Sequence[Any], chat: Chat) -> AsyncGenerator[Event, None]:
        job = self._job(verdict.endpoint, data, chat.session_hash)
        replay = Replay(whole=self.app.protocol == "sse_v1")
        malformed, served = 0, False
        async with aclosing(job.messages()) as messages:
            async for message in messages:
                if not served:
                    served = True
                    yield ServedBy(model=f"{self.place.id}#{verdict.endpoint.name}", upstream=self.place.id)
                if job.malformed > malformed:
                    malformed = job.malformed
                    replay.lose()
                match message:
                    case Generating():
                        values = replay.feed(message.data)
                        for event in await self._in_between(verdict, values):
                            yield event
                    case Completed(error=None, data=result) if result is not None:
                        for event in await self._result(verdict, result):
                            yield event
                    case Completed(error=error) | Broken(error=error) if error is not None:
                        raise error
                    case _:
                        for event in _told(message):
                            yield event
        if job.malformed:
            yield Notice(code="malformed-chunk", message=f"{job.malformed} malformed messages were skipped")

    async def _in_between(self, verdict: Verdict, values: Sequence[Any] | None) -> list[Event]:
        """Text as it grows, or a preview."""
        place = verdict.answer[0]
        if values is None or len(values) <= place:
            self._shown = None
            return []
        self._shown = value = shown(values[place], self._shown)
        kind = media_kind(verdict)
        if kind is None:
            return self._spoken(value, verdict)
        files = files_of(value)
        now = anyio.current_time()
        if not files or files[0].is_stream or self.settings.preview_gap < 0 or now < self._next_preview:
            return []
        try:
            preview = await self._fetch(files[0], kind)
        except ProviderError:
            self._next_preview = float("inf")  # the result will say what is wrong, if it is still wrong
            return []
        self._next_preview = anyio.current_time() + self.settings.preview_gap
        return [Preview(media=preview)]

    def _spoken(self, value: Any, verdict: Verdict) -> list[Event]:
        chat = verdict.history is not History.NONE
        thoughts = self._growing.think(thought_of(value)) if chat else []
        return [*thoughts, *self._growing.feed(text_of(value, verdict.answer_kind, chat=chat))]

    async def _attached(self, value: Any, verdict: Verdict) -> list[Event]:
        """The files of a chat's answer. One that cannot be had takes nothing from the words."""
        if verdict.history is History.NONE:
            return []
        found: list[Event] = []
        for file in attached_of(value, verdict.answer_kind)[:MAX_FILES]:
            kind = kind_of_file(file)
            name = (file.path or file.url or "").rpartition("/")[2][:100]
            if kind is None:
                found.append(_lost(f"{name} is no picture, film or sound"))
                continue
            try:
                found.append(await self._fetch(file, kind))
            except ProviderError as error:
                found.append(_lost(f"{name}: {error.message}"))
        return found

    async def _result(self, verdict: Verdict, data: Sequence[Any]) -> list[Event]:
        place = verdict.answer[0]
        if len(data) <= place:
            raise InvalidRequestError("the app's result does not fit its own description", code="schema")
        value = shown(data[place], self._shown)
        kind = media_kind(verdict)
        if kind is None:
            return [*self._spoken(value, verdict), *await self._attached(value, verdict)]
        files = files_of(value)
        if verdict.answer_kind == "imageslider":
            files = files[-1:]  # before and after
        if not files:
            raise ServerError(f"the app ended without an error and gave no {kind.value}", code="no-result")
        if len(files) > MAX_FILES:
            raise MalformedResponseError(
                f"the app gave {len(files):,} files; at most {MAX_FILES} are fetched"
            )
        media = [await self._fetch(file, kind) for file in files]
        return [*media, *remarks(verdict, data)]

    async def _fetch(self, file: FileData, kind: MediaKind) -> Media:
        """A file of the app; the last preview often is the result, and is not fetched twice."""
        key = file.path or file.url or ""
        if key not in self._fetched:
            media = await download(self.session, self.app, file, kind, prompt=self.request.prompt)
            self._fetched = {key: media}
        return self._fetched[key]


def _lost(why: str) -> Notice:
    return Notice(code="file-left-out", message=f"a file of the answer is left out: {why}")


def _told(message: Message) -> list[Event]:
    """What the other messages say."""
    match message:
        case Estimation(rank=rank, eta=eta):
            return [Progress(stage="queued", position=rank, eta=eta)]
        case Starts(eta=eta):
            return [Progress(stage="running", eta=eta)]
        case Report(fraction=fraction, text=text):
            return [Progress(stage="running", fraction=fraction, message=text or None)]
        case Log(level="warning" | "error", text=text):
            return [Notice(code="app-warning", message=text)]
        case Log(title=title, text=text):
            return [
                Progress(stage="waiting for a GPU" if title == "ZeroGPU queue" else "running", message=text)
            ]
    return []
