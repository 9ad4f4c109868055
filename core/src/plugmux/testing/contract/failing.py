"""The contract of errors: typed, with the facts a router decides by, and never in place of an answer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from socket import create_server

from plugmux.errors import (
    ConnectionFailedError,
    DeadlineError,
    ProviderError,
    Scope,
)
from plugmux.events import Finish, Notice
from plugmux.testing import replies
from plugmux.testing.contract.bench import CONTENT, Bench, demand
from plugmux.testing.replies import Hang

__all__ = ["ErrorContract"]

STATUSES = (400, 401, 402, 403, 404, 410, 422, 424, 429, 500, 502, 503, 504)


class ErrorContract(Bench):
    async def test_every_error_status_is_a_typed_error_that_knows_it(self) -> None:
        for status in STATUSES:
            error = await self._failure(self.error(status), f"status {status}")
            demand(error.status == status, f"status {status} became an error of status {error.status}")
            demand(error.message.strip(), f"the error of status {status} says nothing")

    async def test_a_status_says_what_may_be_done(self) -> None:
        for status in (429, 500, 502, 503, 504):
            error = await self._failure(self.error(status), f"status {status}")
            demand(error.retryable, f"{error!r} of status {status} is not retryable")
        for status in (400, 401, 402, 403, 404, 422):
            error = await self._failure(self.error(status), f"status {status}")
            demand(not error.retryable, f"{error!r} of status {status} is retryable: it will fail again")
        denied = await self._failure(self.error(401), "status 401")
        demand(denied.renewable, f"{denied!r} of status 401 is not renewable: authenticate is never asked")
        empty = await self._failure(self.error(402), "status 402")
        demand(
            empty.scope in (Scope.ACCOUNT, Scope.UPSTREAM),
            f"{empty!r} of status 402 has the scope {empty.scope.value}: who is out of credit?",
        )
        gone = await self._failure(self.error(404), "status 404")
        demand(gone.forget, f"{gone!r} of status 404 does not make the map forget the model")

    async def test_the_wait_that_the_service_asks_for_is_kept(self) -> None:
        error = await self._failure(self.error(429, retry_after="7"), "429 with Retry-After: 7")
        demand(error.retry_after == 7.0, f"Retry-After: 7 became retry_after={error.retry_after}")

    async def test_it_never_asks_again_by_itself(self) -> None:
        for status in (429, 500, 503):
            async with self.stage(self.error(status)) as stage:
                await stage.outcome()
            asked = len(stage.main_requests)
            demand(asked == 1, f"after a {status} it asked {asked} times: to retry is the router's part")

    async def test_what_is_no_answer_is_a_typed_error(self) -> None:
        for name, reply in self._no_answers().items():
            async with self.stage(reply) as stage:
                got, error = await stage.outcome()
            _demand_no_answer(name, got)
            demand(isinstance(error, ProviderError), f"{name}: expected a ProviderError, got {error!r}")

    async def test_a_malformed_chunk_is_noticed(self) -> None:
        whole = list(self.chunks())
        if len(whole) < 4:
            return
        for place in (0, 1, len(whole) // 2):
            broken = [_halved(chunk) if number == place else chunk for number, chunk in enumerate(whole)]
            async with self.stage(replies.stream(broken, content_type=self.content_type)) as stage:
                got, error = await stage.outcome()
            typed = error is None or isinstance(error, ProviderError)
            demand(typed, f"chunk {place} cut in half: {error!r} is no ProviderError")
            noticed = error is not None or any(isinstance(event, Notice) for event in got)
            lost = not any(isinstance(event, Finish) for event in got)
            demand(noticed or lost, f"chunk {place} cut in half: the answer was complete, without a word")

    async def test_a_refused_connection_is_worth_another_try(self) -> None:
        with create_server(("127.0.0.1", 0)) as taken:
            nobody = f"http://127.0.0.1:{taken.getsockname()[1]}"
        async with self.stage() as stage:
            stage.server.url = nobody
            got, error = await stage.outcome()
        _demand_no_answer("a refused connection", got)
        demand(isinstance(error, ConnectionFailedError), f"a refused connection became {error!r}")
        demand(getattr(error, "retryable", False), f"{error!r} is not retryable")

    async def test_a_reset_before_any_answer_is_a_typed_error(self) -> None:
        await self._failure(replies.reset(), "a reset before any answer")

    async def test_the_limits_are_kept(self) -> None:
        silent = {"first_sign": replies.no_answer(), "idle": self.part(Hang())}
        for limit, reply in silent.items():
            async with self.stage(reply, **{limit: 0.3}) as stage:
                started = time.monotonic()
                got, error = await stage.outcome()
                took = time.monotonic() - started
            demand(isinstance(error, DeadlineError), f"past the limit {limit} it raised {error!r}")
            demand(took < 3, f"past the limit {limit} of 0.3 s it went on for {took:.1f} s")
            demand(not any(isinstance(event, Finish) for event in got), "a silent service gave a Finish")

    async def test_a_huge_error_is_quoted_in_short(self) -> None:
        huge = replies.answer(b"e" * 5_000_000, status=500)
        error = await self._failure(huge, "an error of 5 MB")
        size = len(str(error)) + len(error.body or "")
        demand(size < 2000, f"an error of 5 MB is quoted with {size:,} characters")

    async def _failure(self, reply: replies.Reply, what: str) -> ProviderError:
        """The ProviderError that this reply leads to."""
        async with self.stage(reply) as stage:
            got, error = await stage.outcome()
        _demand_no_answer(what, got)
        if not isinstance(error, ProviderError):
            raise AssertionError(f"{what}: expected a ProviderError, got {error!r}") from error
        return error

    def _no_answers(self) -> dict[str, replies.Reply]:
        kind = self.content_type
        return {
            "an HTML page": replies.html(),
            "an HTML page labelled as an answer": replies.answer("<html>no</html>", content_type=kind),
            "half a JSON": replies.answer('{"choices": [{"mess', content_type="application/json"),
            "a JSON list": replies.json([1, 2]),
            "an empty JSON object": replies.json({}),
            "random bytes": replies.answer(bytes(range(256)) * 8, content_type=kind),
        }


def _demand_no_answer(what: str, got: Sequence[object]) -> None:
    told = [event for event in got if isinstance(event, (*CONTENT, Finish))]
    demand(not told, f"{what} was given as an answer: {told}")


def _halved(chunk: bytes) -> bytes:
    """The first half of a chunk, with the line ends that close it."""
    content = chunk.rstrip(b"\r\n")
    return content[: len(content) // 2] + chunk[len(content) :]
