"""A request that is settled: what is to be served, by whom, and within which limits."""

from __future__ import annotations

from attrs import define

from plugmux.events import Notice
from plugmux.messages import Conversation, Message
from plugmux.model import Task
from plugmux.requests import Limits, Options, Policy
from plugmux.routing import Route

__all__ = ["Job"]


@define(kw_only=True, eq=False, repr=False)
class Job:
    """A checked request, and the route it may take."""

    id: str
    route: Route
    task: Task
    messages: tuple[Message, ...]
    options: Options
    policy: Policy
    limits: Limits | None = None
    until: float = float("inf")
    """The moment, by the runtime's clock, at which it must be over."""
    token: str | None = None
    conversation: Conversation | None = None
    on_break: str = "restart"
    notices: tuple[Notice, ...] = ()
    """What the caller is told before anything else."""
