"""One question to a model, and its answer shown as it comes: what `complete`, `chat` and the media share."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import anyio
from attrs import evolve, field, frozen

from plugmux.errors import InvalidInputError, PlugmuxError
from plugmux.messages import Conversation, Message
from plugmux.model import Task
from plugmux.names import UPSTREAMS

if TYPE_CHECKING:
    from plugmux.client import AsyncClient
    from plugmux.completion import Completion
    from plugmux.events import Event

__all__ = ["Question", "View", "ask", "ask_several", "pinned", "separate"]

AT_ONCE = 4


class View(Protocol):
    """Where an answer is shown."""

    @property
    def can_restart(self) -> bool:
        """Whether it can take back what it showed, or mark it as void."""

    def show(self, event: Event) -> None: ...

    def close(self) -> None: ...

    def finish(self, completion: Completion) -> None: ...


@frozen(kw_only=True)
class Question:
    """What is asked, of which models (in order of wish; none: the default)."""

    models: tuple[str, ...] = ()
    message: Message | str
    policy: Mapping[str, Any] = field(factory=dict)
    options: Mapping[str, Any] = field(factory=dict)
    conversation: Conversation | None = None
    task: Task | None = None

    @property
    def model(self) -> str | list[str] | None:
        """The models as the client takes them."""
        return list(self.models) if len(self.models) > 1 else next(iter(self.models), None)

    def under(self, policy: Mapping[str, Any]) -> Question:
        """The question with a configured policy; what it says itself wins."""
        return evolve(self, policy={**policy, **self.policy})

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments for `client.stream`: only what was given."""
        named = {"policy": dict(self.policy), "conversation": self.conversation, "task": self.task}
        return {name: value for name, value in named.items() if value} | dict(self.options)


def pinned(question: Question, providers: Sequence[str]) -> Question:
    """The question, restricted to `-p` providers.

    One provider is put before the model's name, so that an unlisted model is passed through to it; an
    upstream (`together`) or several go into the policy's `only`.
    """
    if not providers:
        return question
    name = providers[0]
    is_upstream = "/" in name or (name in UPSTREAMS and name != "hf-inference")
    if len(providers) > 1 or is_upstream or not question.models:
        return evolve(question, policy={**question.policy, "only": list(providers)})
    models = tuple(model if "::" in model else f"{name}::{model}" for model in question.models)
    return evolve(question, models=models)


def separate(question: Question) -> tuple[Question, int]:
    """The question for one result, and how many are wanted (the option `n`)."""
    options = dict(question.options)
    count = options.pop("n", 1)
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise InvalidInputError("must be a whole number above 0", field="n")
    return evolve(question, options=options), count


async def ask(
    client: AsyncClient, question: Question, view: View, *, opened: Callable[[Any], None] | None = None
) -> Completion:
    """Stream the answer into `view` and return what it came to.

    A view that cannot take back what it printed asks for `on_break="error"`, unless the caller chose.
    `opened` gets the stream: its `completion` holds what was said so far, should the rest never come.
    """
    try:
        completion = await _streamed(client, _held_to(question, view), view, opened)
    finally:
        view.close()
    view.finish(completion)
    return completion


async def ask_several(client: AsyncClient, question: Question, view: View, count: int) -> None:
    """Ask the same `count` times side by side, and show each result as it is ready.

    Those that come are shown even if others fail; then the first failure is raised.
    """
    question = _held_to(question, view)
    gate = anyio.Semaphore(AT_ONCE)
    done: list[Completion] = []
    failures: list[PlugmuxError | OSError] = []

    async def one() -> None:
        try:
            async with gate:
                done.append(await _streamed(client, question, view, None))
        except (PlugmuxError, OSError) as error:
            failures.append(error)

    try:
        await _side_by_side(one, count)
    finally:
        view.close()
    for completion in done:
        view.finish(completion)
    if failures:
        raise failures[0]


async def _side_by_side(work: Callable[[], Coroutine[Any, Any, None]], count: int) -> None:
    async with anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(work)


async def _streamed(
    client: AsyncClient, question: Question, view: View, opened: Callable[[Any], None] | None
) -> Completion:
    async with client.stream(question.model, question.message, **question.arguments()) as stream:
        if opened is not None:
            opened(stream)
        async for event in stream:
            view.show(event)
        return stream.completion


def _held_to(question: Question, view: View) -> Question:
    if view.can_restart or "on_break" in question.policy:
        return question
    return evolve(question, policy={**question.policy, "on_break": "error"})
