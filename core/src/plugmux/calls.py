"""One call of the client, checked at the door: what is wrong is refused before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any

from plugmux.errors import InvalidInputError

if TYPE_CHECKING:
    from plugmux.messages import Conversation, MessagesInput
    from plugmux.model import Task
    from plugmux.planning import Asked, Plan
    from plugmux.requests import Limits, Policy
    from plugmux.runtime import Runtime

__all__ = ["Call", "task_from", "token_from"]

_ATTACHED = ("image", "audio")


class Call:
    """The arguments of one call, checked as far as that needs no I/O: attachments are read later."""

    def __init__(
        self,
        model: str | Iterable[str] | None,
        messages: MessagesInput,
        *,
        task: Task | str | None = None,
        policy: Policy | Mapping[str, Any] | None = None,
        conversation: Conversation | Mapping[str, Any] | None = None,
        timeout: float | None = None,
        token: str | None = None,
        system: str | None = None,
        limits: Limits | Mapping[str, Any] | None = None,
        n: int | None = None,
        defaults: Mapping[str, Any],
        **options: Any,
    ) -> None:
        from plugmux.messages import Conversation, messages_from
        from plugmux.planning import model_names
        from plugmux.requests import limits_from, options_from, policy_from

        if conversation is not None and not isinstance(conversation, Conversation):
            conversation = Conversation.from_dict(conversation)
        self.models = model_names(model)
        if conversation is not None and system is not None:
            conversation, system = _instructed(conversation, system), None
        self.conversation = conversation
        told = options.get("audio") is not None or (conversation is not None and bool(conversation.messages))
        self.messages = messages_from(messages, system=system, may_be_empty=told)
        if conversation is not None:
            self.messages = (*conversation.messages, *self.messages)
        self.task = task_from(task)
        self.policy = policy_from(_policy_over(defaults, policy))
        self.timeout = _seconds(timeout)
        self.token = token_from(token)
        self.limits = limits_from(limits)
        self.n = _count(n)
        self._attached = {name: options.pop(name) for name in _ATTACHED if options.get(name) is not None}
        self.options = options_from(options)
        self._until: float | None = None

    def until(self, now: float) -> float:
        """The moment at which it must be over. Its time runs from when this is asked first, and is one for
        all of several answers."""
        if self._until is None:
            self._until = now + (self.timeout or float("inf"))
        return self._until

    def variation(self, index: int) -> Call:
        """The call for one of several answers: one seed for all would make them all alike."""
        if self.options.seed is None or not index:
            return self
        from attrs import evolve

        varied = copy(self)
        varied.options = evolve(self.options, seed=self.options.seed + index)
        return varied

    async def planned(self, runtime: Runtime) -> tuple[Asked, Plan]:
        """The request with its attachments read, and its route. Raises InvalidInputError, NoRouteError, and
        AllProvidersFailedError when the time is up."""
        if self.timeout is None:
            return await self._planned(runtime)
        from anyio import move_on_after

        from plugmux.errors import AllProvidersFailedError

        now = runtime.clocks.monotonic()
        with move_on_after(self.until(now) - now):
            return await self._planned(runtime)
        name = ", ".join(self.models) or "the default model"
        raise AllProvidersFailedError(
            f"no provider could serve {name!r}: the {self.timeout:g} s were over before anybody was asked",
            model=name,
        )

    async def _planned(self, runtime: Runtime) -> tuple[Asked, Plan]:
        from plugmux.planning import Planner

        asked = await self.ready()
        return asked, await Planner(runtime=runtime, asked=asked).plan()

    async def ready(self) -> Asked:
        """The request with its attachments read. Raises InvalidInputError."""
        from plugmux.planning import Asked

        await self.read_attachments()
        return Asked(
            models=self.models,
            messages=self.messages,
            options=self.options,
            policy=self.policy,
            task=self.task,
            token=self.token,
        )

    async def read_attachments(self) -> None:
        """Read them into `options`; an open file can be read only once. Raises InvalidInputError."""
        if not self._attached:
            return
        from anyio.to_thread import run_sync
        from attrs import evolve

        from plugmux.attachments import attachment_from

        read: dict[str, Any] = {
            name: await run_sync(partial(attachment_from, given, field=name), abandon_on_cancel=True)
            for name, given in self._attached.items()
        }
        self.options = evolve(self.options, **read)
        self._attached = {}


def _instructed(conversation: Conversation, system: str) -> Conversation:
    """The conversation under this system message, which replaces one at its beginning.

    What providers keep of it does not know a changed beginning, so it is forgotten then.
    """
    from plugmux.messages import Conversation, Message

    said = conversation.messages
    rest = said[1:] if said and said[0].role == "system" else said
    messages = (Message(role="system", content=system), *rest)
    return conversation if messages == said else Conversation(messages=messages)


def _policy_over(
    configured: Mapping[str, Any], given: Policy | Mapping[str, Any] | None
) -> Policy | Mapping[str, Any]:
    """A call's policy: what a mapping does not say stays as it is configured; a Policy says all."""
    if given is None or isinstance(given, Mapping):
        return {**configured, **(given or {})}
    return given


def task_from(given: Task | str | None) -> Task | None:
    if given is None:
        return None
    from plugmux.model import Task

    try:
        return Task(given)
    except ValueError:
        known = ", ".join(task.value for task in Task)
        raise InvalidInputError(f"unknown task {given!r}; known: {known}", field="task") from None


def token_from(given: str | None) -> str | None:
    if given is None or isinstance(given, str):
        return given
    raise InvalidInputError(f"expected text, got {type(given).__name__}", field="token")


def _seconds(given: float | None) -> float | None:
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int | float) or not given > 0:
        raise InvalidInputError("must be a number of seconds above 0", field="timeout")
    return float(given)


def _count(given: int | None) -> int:
    if given is None:
        return 1
    if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= 64:
        raise InvalidInputError("must be a whole number from 1 to 64", field="n")
    return given
