"""The sixteen faults of the public failover benchmark for LLM routers, as scenarios that can be played.

Each has a primary and a fallback server on real sockets, and a judge. The caller must get the whole
canonical answer in all but the content filter, and the router must keep to the benchmark's limits: no
hammering, no silent road asked twice, nothing reported complete that is not.

`scale` shortens time itself: at 0.1 a second of the router's and of the servers' lasts a tenth of one. At 1.0
it is the benchmark's own clock. Times in an `Outcome` are always the router's seconds.
"""

from __future__ import annotations

import tempfile
import time
from collections import UserDict
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import anyio
import httpx
from attrs import define, field, frozen

from plugmux.client import AsyncClient
from plugmux.completion import Completion
from plugmux.errors import ContentFilterError, PlugmuxError
from plugmux.runtime import Clocks
from plugmux.settings import Settings
from plugmux.testing import chat, replies
from plugmux.testing.replies import Close, Hang, Replies, Reply, Wait
from plugmux.testing.server import FaultServer, SeenRequest
from plugmux.transports.pools import make_transport

__all__ = ["SCENARIOS", "Outcome", "Scenario", "Verdict", "play"]

MODEL = "test/model"
WORDS = chat.tokens(60)
ANSWER = "".join(WORDS)
PRIMARY_USAGE = {"prompt_tokens": 999, "completion_tokens": 999, "total_tokens": 1998}


@define(kw_only=True)
class Outcome:
    """What a scenario came to, for its judge: when each server was asked, and how long each call took."""

    primary: list[float]
    fallback: list[float]
    completions: list[Completion] = field(factory=list)
    errors: list[PlugmuxError] = field(factory=list)
    seconds: list[float] = field(factory=list)

    @property
    def answered(self) -> bool:
        """Whether the last call gave the whole answer."""
        return not self.errors and bool(self.completions) and self.completions[-1].text == ANSWER


Judge = Callable[[Outcome], bool]


@frozen(kw_only=True)
class Scenario:
    """One fault: who answers how (given the scale), how often it is asked, and the judge."""

    name: str
    primary: Callable[[float], Replies]
    fallback: Callable[[float], Replies] = field(default=lambda scale: whole())
    judge: Judge
    limit: str
    policy: dict[str, Any] = field(factory=dict)
    calls: int = 1
    pause: float = 0.0
    """Seconds between the calls."""


@frozen(kw_only=True)
class Verdict:
    """How a scenario went."""

    name: str
    passed: bool
    limit: str
    outcome: Outcome


def whole(**facts: Any) -> Reply:
    """The canonical answer."""
    return replies.stream(chat.chunks(WORDS, **facts))


def cut(count: int, *after: Any) -> Reply:
    """`count` tokens of the answer, and then what `after` says; an end of the connection by itself."""
    return replies.stream(chat.chunks(WORDS)[:count], after=after or [Close()])


def status(code: int, message: str, *, name: str | None = None, **headers: str) -> Reply:
    """An error answer in OpenAI's shape."""
    return replies.json(
        chat.error(message, code=name),
        status=code,
        headers={key.replace("_", "-"): value for key, value in headers.items()},
    )


def _slow(scale: float) -> Reply:
    head, *rest = whole()
    return [head, Wait(20 * scale), *rest]


def _malformed(scale: float) -> Reply:
    events = chat.chunks(WORDS)
    return replies.stream([*events[:9], b'data: {"choices": [{"delta": {"con\n\n', *events[9:]])


def _too_long(scale: float) -> Reply:
    said = "This model's maximum context length is 8 tokens. However, you requested 5000 tokens."
    return status(400, said, name="context_length_exceeded")


def _refused(scale: float) -> Reply:
    return status(400, "The response was filtered: it is about forbidden things.", name="content_filter")


def _without_prefill(scale: float) -> Replies:
    def reply(request: SeenRequest) -> Reply:
        if request.json()["messages"][-1]["role"] == "assistant":
            return status(400, "Prefilling the assistant's message is not supported.")
        return whole()

    return reply


def _flapping(scale: float) -> Replies:
    """Down for 60 s from its first request, healthy ever after."""
    began: list[float] = []

    def reply(request: SeenRequest) -> Reply:
        began.append(request.arrived_at)
        down = request.arrived_at - began[0] < 60 * scale
        return status(503, "temporarily unavailable") if down else whole()

    return reply


def _other_usage(scale: float) -> Reply:
    events = [chat.chunk(model="primary/model", usage=PRIMARY_USAGE), chat.chunk({"content": "half "})]
    return replies.stream(events, after=[Close()])


def _tries_at_most(count: int) -> Judge:
    return lambda outcome: outcome.answered and len(outcome.primary) <= count


def _waited(outcome: Outcome) -> bool:
    return outcome.answered and (len(outcome.primary) < 2 or outcome.primary[1] - outcome.primary[0] >= 1.8)


def _not_hammered(outcome: Outcome) -> bool:
    early = [moment for moment in outcome.primary if moment - outcome.primary[0] <= 3]
    return outcome.answered and len(early) <= 4 and len(outcome.primary) <= 6


def _healthy_again(outcome: Outcome) -> bool:
    return outcome.answered and len(outcome.completions) == 2 and len(outcome.primary) == 2


def _reason_given(outcome: Outcome) -> bool:
    (error,) = outcome.errors
    return isinstance(error, ContentFilterError) and "forbidden" in str(error) and len(outcome.primary) == 1


def _back_in_use(outcome: Outcome) -> bool:
    recovered = outcome.primary[0] + 60
    while_down = [moment for moment in outcome.primary if moment < recovered]
    back = any(recovered <= moment <= recovered + 30 for moment in outcome.primary)
    return outcome.answered and back and len(while_down) <= 20


def _accounted(outcome: Outcome) -> bool:
    last = outcome.completions[-1] if outcome.completions else Completion()
    return (
        outcome.answered and last.provider == "b" and last.usage is not None and last.usage.total_tokens == 67
    )


def _always(reply: Replies) -> Callable[[float], Replies]:
    return lambda scale: reply


SCENARIOS: Sequence[Scenario] = (
    Scenario(
        name="429 with Retry-After",
        primary=lambda s: replies.in_order(status(429, "slow down", Retry_After="2"), whole()),
        judge=_waited,
        limit="second try not before 1.8 s",
    ),
    Scenario(
        name="429 without Retry-After",
        primary=_always(status(429, "slow down")),
        judge=_not_hammered,
        limit="at most 4 tries in 3 s, 6 in all",
    ),
    Scenario(
        name="500 once",
        primary=lambda s: replies.in_order(status(500, "oops"), whole()),
        judge=lambda o: o.answered and len(o.primary) == 2 and not o.fallback,
        limit="retried once at the same place",
    ),
    Scenario(
        name="503 for ever",
        primary=_always(status(503, "down")),
        judge=_not_hammered,
        limit="at most 6 tries",
    ),
    Scenario(
        name="reset before headers",
        primary=_always(replies.reset()),
        judge=_not_hammered,
        limit="at most 6 tries",
    ),
    Scenario(
        name="no response", primary=_always(replies.no_answer()), judge=_tries_at_most(1), limit="asked once"
    ),
    Scenario(
        name="slow first token",
        primary=_slow,
        judge=lambda o: o.answered and len(o.primary) == 1 and o.seconds[0] <= 15,
        limit="left within 15 s, asked once",
    ),
    Scenario(
        name="cut after 40 of 60", primary=_always(cut(40)), judge=_tries_at_most(6), limit="never joined"
    ),
    Scenario(
        name="stall after 20",
        primary=lambda s: replies.in_order(cut(20, Hang()), whole()),
        judge=_healthy_again,
        limit="the call after it is healthy",
        calls=2,
    ),
    Scenario(
        name="malformed tenth chunk", primary=_malformed, judge=_tries_at_most(6), limit="nothing is lost"
    ),
    Scenario(
        name="no [DONE]",
        primary=_always(replies.stream(chat.chunks(WORDS, done=False), after=[Hang()])),
        judge=lambda o: o.answered and o.seconds[0] <= 8 and not o.fallback,
        limit="ends within 8 s",
    ),
    Scenario(name="context length", primary=_too_long, judge=_tries_at_most(1), limit="asked once"),
    Scenario(
        name="content filter",
        primary=_refused,
        judge=_reason_given,
        limit="asked once, the provider's reason",
    ),
    Scenario(
        name="fallback rejects prefill",
        primary=_always(cut(40)),
        fallback=_without_prefill,
        judge=_tries_at_most(6),
        limit="answered anew",
        policy={"on_break": "continue"},
    ),
    Scenario(
        name="flapping for 60 s",
        primary=_flapping,
        judge=_back_in_use,
        limit="at most 20 tries while down, in use within 30 s of recovery",
        calls=90,
        pause=1.0,
    ),
    Scenario(
        name="accounting on fallback",
        primary=_other_usage,
        judge=_accounted,
        limit="model and usage of who served",
    ),
)


async def play(scenario: Scenario, *, scale: float = 1.0) -> Verdict:
    """Play one scenario against `plugmux-hf-inference` on two local servers, and judge it."""
    async with AsyncExitStack() as stack:
        servers = [
            await stack.enter_async_context(FaultServer(_with_list(scenario.primary(scale)))),
            await stack.enter_async_context(FaultServer(_with_list(scenario.fallback(scale)))),
        ]
        home = stack.enter_context(tempfile.TemporaryDirectory())
        client = await stack.enter_async_context(_client(home, servers, scale))
        await client.models()
        began = time.monotonic()
        outcome = Outcome(primary=[], fallback=[])
        for _ in range(scenario.calls):
            await _call(client, scenario, scale, outcome)
            await anyio.sleep(scenario.pause * scale)
        outcome.primary, outcome.fallback = ([*_moments(server, began, scale)] for server in servers)
    return Verdict(name=scenario.name, passed=scenario.judge(outcome), limit=scenario.limit, outcome=outcome)


async def _call(client: AsyncClient, scenario: Scenario, scale: float, outcome: Outcome) -> None:
    started = time.monotonic()
    policy = {"order": ["a", "b"], **scenario.policy}
    try:
        outcome.completions.append(await client.complete(MODEL, "Count.", policy=policy))
    except PlugmuxError as error:
        outcome.errors.append(error)
    outcome.seconds.append((time.monotonic() - started) / scale)


def _client(home: str, servers: Sequence[FaultServer], scale: float) -> AsyncClient:
    """A client for which a second lasts `scale` seconds, down to its sockets."""
    settings = _settings(home, servers)
    if scale == 1.0:
        return AsyncClient(settings=settings)
    clocks = Clocks(
        monotonic=lambda: time.monotonic() / scale, sleep=lambda seconds: anyio.sleep(seconds * scale)
    )
    return AsyncClient(settings=settings, clocks=clocks, transport_factory=partial(_Hurried, scale))


class _Hurried(httpx.AsyncBaseTransport):
    """A transport whose timeouts are shortened."""

    def __init__(self, scale: float, **arguments: Any) -> None:
        self._usual = make_transport(None, **arguments)
        self._scale = scale

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions["timeout"] = _Shortened(request.extensions["timeout"], self._scale)
        return await self._usual.handle_async_request(request)

    async def aclose(self) -> None:
        await self._usual.aclose()


class _Shortened(UserDict[str, float | None]):
    """The timeouts of a request as they stand when they are asked for, times `scale`."""

    def __init__(self, timeouts: dict[str, float | None], scale: float) -> None:
        super().__init__()
        self.data = timeouts
        self._scale = scale

    def __getitem__(self, name: str) -> float | None:
        seconds = self.data[name]
        return None if seconds is None else seconds * self._scale


def _with_list(reply: Replies) -> Replies:
    listed = replies.json({"object": "list", "data": [{"id": MODEL, "object": "model"}]})
    return replies.by_path({"/v1/models": listed, "/v1/chat/completions": reply})


def _settings(home: str, servers: Sequence[FaultServer]) -> Settings:
    instances = [f"{name}=hf-inference@{server.url}/v1" for name, server in zip("ab", servers, strict=True)]
    return Settings.load(
        {
            "PLUGMUX_HOME": home,
            "PLUGMUX_INSTANCES": " ".join(instances),
            "PLUGMUX_DISABLE": "hf-inference hf-chat hf-media hf-space",
        }
    )


def _moments(server: FaultServer, began: float, scale: float) -> list[float]:
    return [(r.arrived_at - began) / scale for r in server.requests if r.path == "/v1/chat/completions"]
