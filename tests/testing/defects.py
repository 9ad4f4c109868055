"""Thirty small defective providers, six of each kind: what `ProviderContract` is there to catch.

`DEFECTS` maps each kind to its six. Every one is the flawless provider with one step gone wrong.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
import urllib.request
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import anyio
from flawless import Flawless

from plugmux import Credential, Finish, Model, Notice, Request, Session, Text, Usage
from plugmux.errors import AuthenticationError, ProviderError, RateLimitError, ServerError
from plugmux.http import EventSource, Response
from plugmux.statuses import error_text

log = logging.getLogger(__name__)


class TwoFinishes(Flawless):
    """Says twice that it is complete."""

    def ending(self, reason: str | None) -> list[Any]:
        return super().ending(reason) * 2


class SpeaksAfterFinish(Flawless):
    """Gives the usage after the finish."""

    async def decoded(self, source: EventSource) -> AsyncGenerator[Any, None]:
        held = []
        async with aclosing(super().decoded(source)) as events:
            async for event in events:
                if type(event) is Usage:
                    held.append(event)
                else:
                    yield event
        for event in held:
            yield event


class CutIsComplete(Flawless):
    """Takes the end of the bytes for the end of the answer."""

    def ending(self, reason: str | None) -> list[Any]:
        return super().ending(reason or "stop")


class DropsOptions(Flawless):
    """Ignores what it cannot take, and says nothing."""

    def notices(self, request: Request) -> list[Notice]:
        return []


class WrongFields(Flawless):
    """Passes the service's words on unread."""

    def usage(self, counts: dict[str, int]) -> Usage:
        return Usage(prompt_tokens=str(counts["prompt_tokens"]))  # type: ignore[arg-type]


class WholeAtOnce(Flawless):
    """Collects the whole answer before it gives any of it."""

    async def decoded(self, source: EventSource) -> AsyncGenerator[Any, None]:
        async with aclosing(super().decoded(source)) as events:
            whole = [event async for event in events]
        for event in whole:
            yield event


class SwallowsCancel(Flawless):
    """Treats cancellation as the end of the answer."""

    async def stream(self, request: Request, session: Session) -> AsyncGenerator[Any, None]:
        try:
            async with aclosing(super().stream(request, session)) as events:
                async for event in events:
                    yield event
        except GeneratorExit:
            raise
        except BaseException as error:
            if isinstance(error, Exception):
                raise


class ReadsOn(Flawless):
    """Reads the rest of the answer before it lets go."""

    async def stream(self, request: Request, session: Session) -> AsyncGenerator[Any, None]:
        async with self.open(request, session) as source:
            try:
                async with aclosing(self.decoded(source)) as events:
                    async for event in events:
                        yield event
            except BaseException:
                with anyio.CancelScope(shield=True), anyio.move_on_after(1):
                    async for _ in source:
                        pass
                raise


class LeavesTheSocket(Flawless):
    """Has a connection of its own that nobody closes."""

    kept: list[socket.socket] = []  # noqa: RUF012

    async def stream(self, request: Request, session: Session) -> AsyncGenerator[Any, None]:
        host, _, port = session.settings["base_url"].removeprefix("http://").partition(":")
        self.kept.append(socket.create_connection((host, int(port))))
        async with aclosing(super().stream(request, session)) as events:
            async for event in events:
                yield event


class TellsNobody(Flawless):
    """Has its word to the server in a plain `finally`, which cancellation never lets through."""

    async def tell_to_stop(self, session: Session) -> None:
        await session.http.request("POST", f"{session.settings['base_url']}/v1/stop")


class YieldsOnClose(Flawless):
    """Gives one more event when it is closed."""

    async def stream(self, request: Request, session: Session) -> AsyncGenerator[Any, None]:
        try:
            async with aclosing(super().stream(request, session)) as events:
                async for event in events:
                    yield event
        finally:
            yield Notice(code="closed", message="good bye")


class HangsOnClose(Flawless):
    """Takes its time to close, and cannot be hurried."""

    async def tell_to_stop(self, session: Session) -> None:
        with anyio.CancelScope(shield=True):
            await super().tell_to_stop(session)
            await anyio.sleep(4)


class BareError(Flawless):
    """Raises whatever comes to its mind."""

    def error_of(self, response: Response) -> ProviderError:
        raise RuntimeError(f"HTTP {response.status}")


class LosesRetryAfter(Flawless):
    """Knows the status, and forgets the wait the service asked for."""

    def error_of(self, response: Response) -> ProviderError:
        if response.status == 429:
            return RateLimitError("slow down", status=429)
        return super().error_of(response)


class AllIsServerError(Flawless):
    """Blames the server for everything."""

    def error_of(self, response: Response) -> ProviderError:
        return ServerError(error_text(response), status=response.status)


class RetriesItself(Flawless):
    """Asks again on its own account."""

    async def stream(self, request: Request, session: Session) -> AsyncGenerator[Any, None]:
        for tries_left in (2, 1, 0):
            try:
                async with aclosing(super().stream(request, session)) as events:
                    async for event in events:
                        yield event
                return
            except ServerError:
                if not tries_left:
                    raise


class TrustsItsInput(Flawless):
    """Believes that what should be JSON is JSON."""

    def parsed(self, data: bytes) -> dict[str, Any]:
        return json.loads(data)  # type: ignore[no-any-return]


class ErrorAsText(Flawless):
    """Gives the error as the answer."""

    async def stream(self, request: Request, session: Session) -> AsyncGenerator[Any, None]:
        try:
            async with aclosing(super().stream(request, session)) as events:
                async for event in events:
                    yield event
        except AuthenticationError as error:
            yield Text(text=f"Error: {error}")
            yield Finish()


class TokenInUrl(Flawless):
    """Puts the token into the address."""

    def url(self, session: Session) -> str:
        return f"{super().url(session)}?token={session.token}"


class LogsTheToken(Flawless):
    """Logs what it sends."""

    def url(self, session: Session) -> str:
        if session.credential:
            log.debug("sending %s", session.credential.headers_for(session.settings["base_url"]))
        return super().url(session)


class QuotesTheToken(Flawless):
    """Says in its error which token was refused."""

    async def stream(self, request: Request, session: Session) -> AsyncGenerator[Any, None]:
        try:
            async with aclosing(super().stream(request, session)) as events:
                async for event in events:
                    yield event
        except AuthenticationError as error:
            raise AuthenticationError(f"{session.token} was refused", status=401) from error


class FollowsAnywhere(Flawless):
    """Follows a redirect by itself, and takes the token along."""

    async def stream(self, request: Request, session: Session) -> AsyncGenerator[Any, None]:
        url, headers = self.url(session), {"Authorization": f"Bearer {session.token}"}
        first = await session.http.request("POST", url, json=self.body(request), follow_redirects=False)
        target = first.headers.get("location", url)
        there = session.http.events("POST", target, json=self.body(request), headers=headers)
        async with there as source, aclosing(self.decoded(source)) as events:
            async for event in events:
                yield event


class PrintsTheToken(Flawless):
    """Has a print left over from debugging."""

    async def find_credential(self, session: Session, challenge: ProviderError | None) -> Credential | None:
        print("token is", session.token)
        return await super().find_credential(session, challenge)


class TokenInEvents(Flawless):
    """Tells the caller which token serves him."""

    def notices(self, request: Request) -> list[Notice]:
        return [*super().notices(request), Notice(code="account", message=f"using {self.token}")]

    async def find_credential(self, session: Session, challenge: ProviderError | None) -> Credential | None:
        self.token = session.token
        return await super().find_credential(session, challenge)


class SleepsInTheStream(Flawless):
    """Waits with time.sleep between two chunks."""

    def parsed(self, data: bytes) -> dict[str, Any]:
        if b"w3 " in data:
            time.sleep(0.3)
        return super().parsed(data)


class BlockingClient(Flawless):
    """Uses a blocking HTTP client."""

    async def stream(self, request: Request, session: Session) -> AsyncGenerator[Any, None]:
        asked = urllib.request.Request(self.url(session), json.dumps(self.body(request)).encode())
        with urllib.request.urlopen(asked, timeout=1) as answer:  # noqa: ASYNC210
            for line in answer:
                chunk = json.loads(line[6:]) if line.startswith(b"data: {") else {}
                for choice in chunk.get("choices", ()):
                    if choice["delta"].get("content"):
                        yield Text(text=choice["delta"]["content"])
        yield Finish()


class Computes(Flawless):
    """Does much work on the loop before it sends anything."""

    def body(self, request: Request) -> dict[str, Any]:
        until = time.monotonic() + 0.4
        while time.monotonic() < until:
            sum(range(10_000))
        return super().body(request)


class BlocksInAuthenticate(Flawless):
    """Looks for its credential with blocking calls."""

    async def find_credential(self, session: Session, challenge: ProviderError | None) -> Credential | None:
        time.sleep(0.3)  # noqa: ASYNC251
        return await super().find_credential(session, challenge)


class BlocksInModels(Flawless):
    """Lists its models with blocking calls."""

    async def find_models(self, session: Session, wanted: str | None) -> list[Model]:
        time.sleep(0.3)  # noqa: ASYNC251
        return await super().find_models(session, wanted)


class LeavesThreads(Flawless):
    """Starts a thread for each answer that never ends."""

    async def stream(self, request: Request, session: Session) -> AsyncGenerator[Any, None]:
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        async with aclosing(super().stream(request, session)) as events:
            async for event in events:
                yield event


DEFECTS: dict[str, tuple[type[Flawless], ...]] = {
    "events": (TwoFinishes, SpeaksAfterFinish, CutIsComplete, DropsOptions, WrongFields, WholeAtOnce),
    "cancel": (SwallowsCancel, ReadsOn, LeavesTheSocket, TellsNobody, YieldsOnClose, HangsOnClose),
    "errors": (BareError, LosesRetryAfter, AllIsServerError, RetriesItself, TrustsItsInput, ErrorAsText),
    "secrets": (TokenInUrl, LogsTheToken, QuotesTheToken, FollowsAnywhere, PrintsTheToken, TokenInEvents),
    "loop": (
        SleepsInTheStream,
        BlockingClient,
        Computes,
        BlocksInAuthenticate,
        BlocksInModels,
        LeavesThreads,
    ),
}
