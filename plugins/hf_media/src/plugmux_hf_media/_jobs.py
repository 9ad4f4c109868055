"""One attempt: submit, follow the queue, fetch what came out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from attrs import define, field

from plugmux.attachments import Attachment
from plugmux.errors import (
    ConfigurationError,
    DeadlineError,
    ModelNotFoundError,
    ProviderError,
)
from plugmux.events import Event, Finish, Notice, Progress, ServedBy
from plugmux.http import ErrorReader, Http, Response, conceal
from plugmux.huggingface.endpoints import Endpoints, bill_to_headers
from plugmux.huggingface.pictures import pictures_of
from plugmux.huggingface.unsaid import unsaid
from plugmux.requests import Request
from plugmux.session import Session
from plugmux.statuses import request_id_of
from plugmux_hf_media import _answers, _wire
from plugmux_hf_media._answers import State, Ticket
from plugmux_hf_media._fetch import Fetch, off_loop, patient, pause
from plugmux_hf_media._routes import Route, Wanted
from plugmux_hf_media._table import PROVIDERS, route_of

__all__ = ["run"]

POLL_GROWTH = 1.25
POLL_MAX = 5.0
POLL_FAILURES = 4
"""Failed questions in a row after which a job is given up. It may have been paid for: one is no reason."""
BUSY_MAX = 30.0
"""Seconds to leave a provider alone that asks for it."""


async def run(request: Request, session: Session) -> AsyncGenerator[Event, None]:
    """The events of one attempt. No error quotes the credential, whatever the service says."""
    async with aclosing(_events(request, session)) as events:
        try:
            async for event in events:
                yield event
        except ProviderError as error:
            if session.credential is not None:
                conceal(error, session.credential)
            raise


async def _events(request: Request, session: Session) -> AsyncGenerator[Event, None]:
    job = Job.of(request, session)
    await job.submit()
    try:
        for event in job.preamble():
            yield event
        while not job.is_over:
            if (news := job.news()) is not None:
                yield news
            await job.ask()
    except BaseException:
        async with session.cleanup():
            await job.stop()
        raise
    for outcome in await job.fetch.outcome(job.state):
        yield outcome
    yield Finish()


@define(kw_only=True)
class Job:
    """The work of one attempt, as far as it has come."""

    request: Request
    session: Session
    route: Route
    endpoints: Endpoints
    fetch: Fetch
    ignored: tuple[str, ...] = ()
    state: State = field(factory=State)
    _answer: Response | None = None
    _ticket: Ticket | None = None
    _seconds: float = 0.0
    _failures: int = 0
    _told: Progress | None = None
    _unsent: int = 0

    @classmethod
    def of(cls, request: Request, session: Session) -> Job:
        """Raises ModelNotFoundError where the table has no entry for provider and task."""
        model = request.model
        route = route_of(model.upstream, request.task, model.remote_id)
        if route is None:
            who = model.upstream or "an unknown upstream"
            raise ModelNotFoundError(
                f"{request.task.value} through {who} is not something hf-media knows",
                remedy=f"name one of {', '.join(PROVIDERS)} behind a colon",
            )
        endpoints = Endpoints.load(session.settings, session.environ)
        endpoints.require_online(endpoints.router)
        fetch = Fetch(session=session, route=route, own=endpoints.router)
        return cls(request=request, session=session, route=route, endpoints=endpoints, fetch=fetch)

    @property
    def is_over(self) -> bool:
        return self.state.has_result

    async def submit(self) -> None:
        """Post the request and read the answer. Raises a ProviderError."""
        wanted = await self._wanted()
        size = len(wanted.attachment.data or b"") if wanted.attachment else 0
        submission = await off_loop(size, _wire.encode, self.route, wanted)
        self.ignored = submission.ignored
        queue = self.route.queue
        self._seconds = poll_seconds(self.session.settings) or (queue.seconds if queue else 0.0)
        headers = {**submission.headers, **bill_to_headers(self.session.settings)}
        answer = await self._send(
            self.session.http,
            "POST",
            submission.path,
            error=_answers.error_at_upstream,
            headers=headers,
            content=submission.content,
        )
        await self._read(answer)
        if queue is not None and not self.is_over:
            self._ticket = _answers.ticket_of(queue, answer)
        elif not self.is_over:
            raise _answers.failure_of(self.route, self.state, answer)

    def preamble(self) -> list[Event]:
        """What is known once the provider has taken the request."""
        answer = self._answer
        request_id = request_id_of(answer.headers) if answer else None
        served = ServedBy(
            model=self.request.model.remote_id, upstream=self.route.provider, request_id=request_id
        )
        ignored = (_ignored(name, self.route) for name in self.ignored)
        sent = ("image_url",) if self.route.reads == "image" and not self.request.options.image else ()
        found = [*unsaid(self.request, sent=sent), *ignored]
        if self._unsent:
            said = f"one picture is sent, {self._unsent} more are not"
            found.append(Notice(code="option-ignored", option="messages", message=said))
        return [served, *found]

    def news(self) -> Progress | None:
        """The job's progress where it has changed since it was last told."""
        state = self.state
        now = Progress(
            stage=state.word or "queued",
            fraction=state.fraction,
            position=state.position,
            eta=state.eta,
        )
        if now == self._told:
            return None
        self._told = now
        return now

    async def ask(self) -> None:
        """Wait a little and ask how the job is; once it is done, get its result. Raises a ProviderError."""
        assert self._ticket is not None  # `submit` has it, or the result
        await pause(self.session, self._seconds)
        self._seconds = min(self._seconds * POLL_GROWTH, max(POLL_MAX, self._seconds))
        try:
            answer = await self._question(self._ticket.poll)
            await self._read(answer)
            if not (self.state.word or self.is_over) and (error := _answers.complaint_of(answer)):
                raise error
            if self.state.is_done and not self.is_over:
                await self._get_result(self._ticket)
        except ProviderError as error:
            await self._bear(error)
        else:
            self._failures = 0

    async def stop(self) -> None:
        """Tell the provider to stop, where it can be told and has not ended by itself."""
        ticket, self._ticket = self._ticket, None
        if ticket is None or ticket.cancel is None or self.state.failure is not None:
            return
        method, path = ticket.cancel
        http = self.session.http.within(2.0)  # the attempt's own time may be up
        await self._send(http, method, path, error=_answers.error_of_job)

    async def _wanted(self) -> Wanted:
        model, options = self.request.model, self.request.options
        return Wanted(
            model=model.id,
            remote_id=model.remote_id,
            prompt=self.request.prompt,
            attachment=await self._attachment(),
            options=options,
            weights=model.extra.get("lora"),
            hub=self.endpoints.hub,
        )

    async def _attachment(self) -> Attachment | None:
        """What the task reads: the option, or the first picture of the last message."""
        reads = self.route.reads
        given: Attachment | None = getattr(self.request.options, reads) if reads else None
        if given is None and reads == "image":
            pictures = await pictures_of(self.request)
            given, self._unsent = next(iter(pictures), None), max(0, len(pictures) - 1)
        if given is not None and given.data is None and self.route.needs_bytes:
            given = await self.fetch.attachment(given)
        return given

    async def _question(self, path: str) -> Response:
        """The answer to a question about the job. One that is silent ends long before the attempt does."""
        return await self._send(patient(self.session).http, "GET", path, error=_answers.error_of_job)

    async def _send(self, http: Http, method: str, path: str, *, error: ErrorReader, **more: Any) -> Response:
        more["headers"] = {**self._headers(), **more.get("headers", {})}
        return await http.request(method, self._url(path), error=error, **more)

    def _headers(self) -> dict[str, str]:
        """What goes with every request of a route, polls included."""
        own = {name: value for name, value in self.route.headers.items() if name != "Prefer"}
        return {**own, **bill_to_headers(self.session.settings)}

    def _url(self, path: str) -> str:
        return f"{self.endpoints.router}/{self.route.provider}{path}"

    async def _read(self, answer: Response) -> None:
        self._answer = answer
        self.state = await off_loop(len(answer.content), _answers.state_of, self.route, answer)
        if self.state.failure is not None:
            raise _answers.failure_of(self.route, self.state, answer)

    async def _get_result(self, ticket: Ticket) -> None:
        """The result of a job that is done: at its own address, or in what was just read."""
        if ticket.result is not None:
            await self._read(await self._question(ticket.result))
        if not self.is_over:
            assert self._answer is not None
            raise _answers.failure_of(self.route, self.state, self._answer)

    async def _bear(self, error: ProviderError) -> None:
        """Go on after a failed question, unless it says that there is no use in it.

        What is raised is never worth another try here: that would make, and bill, the job again.
        """
        self.session.watch.check()
        self._failures += 1
        worth_asking = error.retryable or isinstance(error, DeadlineError)
        if not worth_asking or self._failures >= POLL_FAILURES:
            error.retryable = error.renewable = error.forget = False
            raise error
        await pause(self.session, min(error.retry_after or self._seconds, BUSY_MAX))


def _ignored(option: str, route: Route) -> Notice:
    message = f"{route.provider} has no word for {option} in {route.task.value}"
    return Notice(code="option-ignored", option=option, message=message)


def poll_seconds(settings: Mapping[str, Any]) -> float | None:
    """The setting `poll_seconds`: the first interval, at every provider. Raises ConfigurationError."""
    given = settings.get("poll_seconds")
    if given is None:
        return None
    try:
        seconds = float(given)
    except (TypeError, ValueError):
        seconds = 0.0
    if not seconds > 0:
        raise ConfigurationError(f"hf-media: poll_seconds must be a number above 0, not {given!r}")
    return seconds
