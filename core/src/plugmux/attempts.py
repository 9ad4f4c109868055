"""The attempt loop: drives one candidate after another until an answer is complete.

`events_of` yields the events of all attempts as one stream, an `Attempt` before each and a `Reset` where
what was said is void. What happens after a failure is decided in `plugmux.failover`, not here.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

import attrs

from plugmux.credentials import Credential
from plugmux.errors import (
    AllProvidersFailedError,
    ContentFilterError,
    PlugmuxError,
    ProviderError,
    Scope,
    StreamCutError,
)
from plugmux.events import Attempt, Event, Finish, FinishReason, Notice, Reset, Text
from plugmux.failover import Failover, Turn
from plugmux.fold import Fold
from plugmux.guard import admit, closed, failure_of, isolated, opened
from plugmux.http import conceal
from plugmux.job import Job
from plugmux.messages import Message, gone_on
from plugmux.model import Capability
from plugmux.requests import Limits, Request
from plugmux.routing import Candidate
from plugmux.runtime import Runtime
from plugmux.session import Session

if TYPE_CHECKING:
    from plugmux.completion import Try

__all__ = ["Run", "events_of"]


async def events_of(opened: AbstractAsyncContextManager[Run]) -> AsyncGenerator[Event, None]:
    """Every event of every attempt of the run that `opened` gives, and closes.

    Raises AllProvidersFailedError, or the error that ends routing. All in one generator: each further one
    would cost every token a step.
    """
    async with opened as run:
        failure: ProviderError | None = None
        while (turn := run.next_turn()) is not None:
            for event in run.opening(turn, failure):
                yield event
            await run.begin(turn)
            try:
                async with run.attempt(turn) as (stream, session):
                    watch = session.watch
                    async for event in stream:
                        if type(event) is Text and watch.content_seen:  # as most are: one Text more
                            run.fold.texts.append(event.text)
                            yield event
                            continue
                        run.admit(event, turn, session)
                        run.fold.add(event)
                        yield event
                        if run.serving is not None:
                            return
                raise StreamCutError("the answer ended without saying that it is complete")
            except PlugmuxError as error:
                if run.serving is not None:
                    return  # what fails after a complete answer takes nothing from it
                failure = run.failed(turn, failure_of(error, turn.candidate.model))
            except BaseException:
                if run.serving is None:
                    run.note(turn, "abandoned")
                raise
        raise run.nobody_left() from failure


class Run:
    """One request being served. `fold` has what was said so far, `tries` every attempt, `serving` who served
    it and `headers` those of the answer."""

    def __init__(self, runtime: Runtime, job: Job) -> None:
        self.job = job
        self.fold = Fold()
        self.tries: list[Try] = []
        self.serving: Candidate | None = None
        self.headers: Mapping[str, str] = {}
        self._runtime = runtime
        self._clock = runtime.clocks.monotonic
        self._closings = runtime.closings
        self._failover = Failover(
            candidates=job.route.candidates,
            policy=job.policy,
            jitter=runtime.clocks.jitter,
            total_until=job.until,
        )
        self._credential: Credential | None = None
        self._challenges: dict[Any, ProviderError] = {}
        self._started = 0.0
        self._prefill = ""
        """What a broken answer had said, where this attempt is to go on with it."""

    def next_turn(self) -> Turn | None:
        """Who is tried next, if anybody."""
        return self._failover.next_turn(self._clock())

    async def begin(self, turn: Turn) -> None:
        """Wait as long as the turn wants."""
        if turn.wait:
            await self._runtime.clocks.sleep(turn.wait)
        self._started = self._clock()

    def opening(self, turn: Turn, failure: ProviderError | None) -> Iterator[Event]:
        """What the caller is told before an attempt: what becomes of a begun answer, and who is next."""
        for event in self._opening(turn, failure):
            self.fold.add(event)
            yield event

    def _opening(self, turn: Turn, failure: ProviderError | None) -> Iterable[Event]:
        model = turn.candidate.model
        if failure is None:
            yield from self.job.notices
        elif self.fold.has_content:
            if self.job.on_break == "continue" and self._can_continue(turn.candidate):
                self._prefill = "".join(self.fold.texts)
                yield Notice(code="continued", message=f"the answer broke off and is gone on with: {failure}")
            else:
                self._prefill = ""
                yield Reset(why=str(failure))
        yield Attempt(
            number=self._failover.tries,
            provider=model.provider,
            model=model.remote_id,
            upstream=model.upstream,
        )

    def _can_continue(self, candidate: Candidate) -> bool:
        fold = self.fold
        refused = candidate.key in {t.key for t in self.tries if t.error and t.error.rephrasable}
        plain = fold.texts and not fold.calls and not fold.media
        return bool(plain) and not refused and candidate.model.can(Capability.PREFILL) is True

    @asynccontextmanager
    async def attempt(self, turn: Turn) -> AsyncGenerator[tuple[AsyncIterator[Event], Session], None]:
        """One candidate's stream, held to its contract, and closed within 5 s whatever happens."""
        session = await self._session(turn)
        plugin = await self._runtime.registry.load(session.provider)
        session.prompt_formats = plugin.hook.format_prompt
        self._runtime.health.started(turn.candidate.key)
        request = self._request(turn.candidate)
        with isolated(session.provider, "create_stream"):
            stream = opened(plugin.hook.create_stream(request=request, session=session), session.provider)
        with isolated(session.provider, "its stream"):
            try:
                yield stream, session
            finally:
                await closed(stream, session.provider)

    async def _session(self, turn: Turn) -> Session:
        job, model = self.job, turn.candidate.model
        challenge = self._challenges.pop(turn.candidate.key, None)
        credential = await self._runtime.credential(
            model.provider,
            model=model,
            token=job.token,
            challenge=challenge,
            refused=self._credential if challenge is not None else None,
        )
        if challenge is not None and credential is None:
            raise challenge
        self._credential = credential
        plugin = await self._runtime.registry.load(model.provider)
        left = None if job.until == float("inf") else max(0.001, job.until - self._clock())
        limits = job.limits or Limits.for_task(
            job.task,
            fallback=turn.fallback,
            total=left,
            keep_alive=plugin.keep_alive,
            own_limits=plugin.own_limits,
        )
        if left is not None:
            limits = attrs.evolve(limits, total=min(left, limits.total or left))
        return self._runtime.session(
            model.provider, limits=limits, credential=credential, model=model, token=job.token
        )

    def _request(self, candidate: Candidate) -> Request:
        job = self.job
        messages, options = job.messages, job.options
        if self._prefill:
            said = Message(role="assistant", content=self._prefill)
            messages = gone_on(messages, said) if options.action == "continue" else (*messages, said)
            options = attrs.evolve(options, action="continue")
        return Request(
            id=job.id,
            model=candidate.model,
            task=job.task,
            messages=messages,
            options=options,
            conversation=job.conversation,
        )

    def admit(self, event: Event, turn: Turn, session: Session) -> None:
        """Hold an event against the contract; with `Finish` the answer is served."""
        admit(event, session.provider, session.watch)
        if type(event) is Finish:
            self._served(turn, event, session)

    def _served(self, turn: Turn, finish: Finish, session: Session) -> None:
        """Accept an answer as complete. Raises a ProviderError if it is none."""
        if not self.fold.has_content and finish.reason is FinishReason.CONTENT_FILTER:
            raise ContentFilterError("the provider's content filter refused this request")
        if not self.fold.has_content and finish.reason is FinishReason.STOP:
            raise StreamCutError("the answer is complete and empty")
        self.serving = turn.candidate
        self.headers = session.http.headers
        self._runtime.health.served(turn.candidate.key, latency=session.watch.content_after)
        self.note(turn, "served")

    def failed(self, turn: Turn, failure: ProviderError) -> ProviderError:
        """Record a failure, and raise it if it ends the routing."""
        if self._credential is not None:
            conceal(failure, self._credential)
        self.note(turn, "failed", failure)
        if self._runtime.closings != self._closings:
            raise PlugmuxError("the client was closed while the request was under way") from failure
        key = turn.candidate.key
        self._runtime.health.failed(key, failure.message, flaw=failure.flaw)
        if failure.forget:
            self._runtime.catalog.forget(turn.candidate.model)
        spoke = self.fold.has_content
        if failure.scope is Scope.REQUEST or (spoke and self.job.on_break == "error"):
            raise failure
        if failure.renewable:
            self._challenges[key] = failure
        self._failover.failed(turn.candidate, failure, self._clock(), spoke=spoke)
        if self._runtime.health.standing(key).resting:
            self._failover.rest(turn.candidate)
        if self._prefill and failure.rephrasable:
            self._failover.again(turn.candidate)
        elif spoke and self.job.on_break == "continue":
            self._failover.prefer({c.key for c in self.job.route.candidates if self._can_continue(c)})
        return failure

    def note(self, turn: Turn, outcome: str, error: ProviderError | None = None) -> None:
        """Put an attempt into the trace."""
        from plugmux.completion import Try

        model = turn.candidate.model
        self.tries.append(
            Try(
                number=self._failover.tries,
                provider=model.provider,
                model=model.remote_id,
                upstream=model.upstream,
                outcome=outcome,
                error=error,
                seconds=self._clock() - self._started,
                waited=turn.wait,
                usage=self.fold.usage,
            )
        )

    def nobody_left(self) -> AllProvidersFailedError:
        name, count = self.job.route.name, len(self.tries)
        said = (
            f"{count} {'attempt' if count == 1 else 'attempts'} failed"
            if count
            else "no time was left to try"
        )
        message = f"no provider could serve {name!r}: {said}"
        return AllProvidersFailedError(message, model=name, attempts=self.tries)
