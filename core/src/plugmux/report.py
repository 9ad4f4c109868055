"""What a `Completion` holds that no event says: who served a request, what it cost, what was tried."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plugmux.completion import Completion, Trace, cost_of
from plugmux.messages import Conversation, ProviderState

if TYPE_CHECKING:
    from plugmux.attempts import Run
    from plugmux.model import Model

__all__ = ["completion_of"]

_SECRET = frozenset({"set-cookie"})


def completion_of(run: Run) -> Completion:
    """The completion so far."""
    facts: dict[str, Any] = {"trace": _trace(run), "request_id": run.job.id}
    if run.serving is not None:
        model = run.serving.model
        facts |= {
            "model": model.id,
            "provider": model.provider,
            "upstream": model.upstream,
            "cost": cost_of(model, run.fold.usage),
            "conversation": _conversation(run, model),
            "headers": {name: value for name, value in run.headers.items() if name.lower() not in _SECRET},
        }
    return run.fold.completion(**facts)


def _trace(run: Run) -> Trace:
    """Everything that happened to the request so far."""
    route = run.job.route
    return Trace(
        request_id=run.job.id,
        model=route.name,
        candidates=route.candidates,
        dropped=route.dropped,
        attempts=tuple(run.tries),
    )


def _conversation(run: Run, model: Model) -> Conversation:
    """The conversation with this answer in it, and what its provider needs to go on."""
    job, fold = run.job, run.fold
    messages = (*job.messages, fold.message())
    old = job.conversation or Conversation()
    states = tuple(s for s in old.states if (s.provider, s.model) != (model.provider, model.id))
    if fold.state is not None:
        mine = ProviderState(provider=model.provider, model=model.id, covers=len(messages), state=fold.state)
        states = (*states, mine)
    return Conversation(messages=messages, states=states)
