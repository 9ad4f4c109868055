"""What a `Completion` holds that no event says: who served a request, what it cost, what was tried."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plugmux.completion import Completion, Trace, cost_of
from plugmux.messages import Conversation, ProviderState, gone_on

if TYPE_CHECKING:
    from plugmux.attempts import Run
    from plugmux.messages import Message
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
    messages = _with_answer(run)
    old = job.conversation or Conversation()
    states = tuple(s for s in old.states if (s.provider, s.model) != (model.provider, model.id))
    if fold.state is not None:
        mine = ProviderState(provider=model.provider, model=model.id, covers=len(messages), state=fold.state)
        states = (*states, mine)
    return Conversation(messages=messages, states=states)


def _with_answer(run: Run) -> tuple[Message, ...]:
    said, answer = run.job.messages, run.fold.message()
    anew = any(n.code == "option-ignored" and n.option == "action" for n in run.fold.notices)
    if run.job.options.action == "continue" and not anew:
        return gone_on(said, answer)
    return (*said, answer)
