"""A provider that plays a script: for testing routing, extensions and applications without a socket.

acme = ScriptedProvider([Text(text="half"), StreamCutError("cut")], [Text(text="whole"), Finish()])
client = AsyncClient(entry_points=installed(acme=acme))
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Sequence
from types import SimpleNamespace
from typing import Any, TypeAlias

import anyio
from attrs import define, evolve

from plugmux.credentials import Credential
from plugmux.errors import ProviderError
from plugmux.events import Event, Finish, Text
from plugmux.hooks import hookimpl
from plugmux.model import Model
from plugmux.requests import Request
from plugmux.session import Session
from plugmux.testing.replies import Hang, Wait

__all__ = ["ScriptedAttempt", "ScriptedProvider", "installed"]

Step: TypeAlias = Event | BaseException | Wait | Hang

ANSWER: tuple[Step, ...] = (Text(text="hello"), Finish())
"""What is played when the script is at its end."""


@define(kw_only=True, eq=False)
class ScriptedAttempt:
    """One time that the provider was asked for an answer.

    `given` are the events that it gave; `over` says how it ended: `finished`, `ended` without
    a Finish, `raised`, `closed` (the core let go of it before its end), or None while it goes on.
    """

    request: Request
    session: Session
    given: list[Event]
    over: str | None = None


class ScriptedProvider:
    """A plugin object. Each positional argument is the script of one attempt, in their order.

    In a script an event is given, an exception is raised, `Wait(seconds)` waits, `Hang()` waits for
    ever. `models` are names (with `facts` for all of them) or Models; an exception in their place is
    raised by `get_models`. `credentials` are given one at each `authenticate`, then None.
    """

    def __init__(
        self,
        *scripts: Iterable[Step],
        models: Sequence[str | Model] | Exception = ("org/model",),
        credentials: Iterable[Credential | None] = (),
        **facts: Any,
    ) -> None:
        self.attempts: list[ScriptedAttempt] = []
        self.challenges: list[ProviderError | None] = []
        self.wanted: list[str | None] = []
        self._scripts = [tuple(script) for script in scripts]
        self._models = models
        self._facts = {"auth": "none", **facts}
        self._credentials = list(credentials)

    def then(self, *script: Step) -> None:
        """Add the script of one more attempt."""
        self._scripts.append(script)

    @hookimpl
    async def get_models(self, session: Session, wanted: str | None) -> list[Model]:
        self.wanted.append(wanted)
        if isinstance(self._models, Exception):
            raise self._models
        models = [self._model(model) for model in self._models]
        return [model for model in models if wanted in (None, model.id)]

    @hookimpl
    async def authenticate(self, session: Session, challenge: ProviderError | None) -> Credential | None:
        self.challenges.append(challenge)
        return self._credentials.pop(0) if self._credentials else None

    @hookimpl
    async def create_stream(self, request: Request, session: Session) -> AsyncGenerator[Event, None]:
        script = self._scripts.pop(0) if self._scripts else ANSWER
        attempt = ScriptedAttempt(request=request, session=session, given=[])
        self.attempts.append(attempt)
        try:
            for step in script:
                match step:
                    case Wait(seconds):
                        await anyio.sleep(seconds)
                    case Hang():
                        await anyio.sleep_forever()
                    case BaseException():
                        raise step
                    case _:
                        attempt.given.append(step)
                        attempt.over = "finished" if isinstance(step, Finish) else None
                        yield step
            attempt.over = attempt.over or "ended"
        except Exception:
            attempt.over = "raised"
            raise
        finally:
            attempt.over = attempt.over or "closed"

    def _model(self, model: str | Model) -> Model:
        return Model(id=model, **self._facts) if isinstance(model, str) else evolve(model)


class _EntryPoints(list[Any]):
    def select(self, group: str) -> list[Any]:
        return [entry_point for entry_point in self if entry_point.group == group]


def installed(*, extensions: Sequence[tuple[str, object]] = (), **providers: object) -> Any:
    """Plugin objects as if they were installed: for `AsyncClient(entry_points=…)`.

    An underscore in a name stands for a hyphen. `extensions` are (name, object) pairs.
    """
    found = [(name.replace("_", "-"), target, "plugmux") for name, target in providers.items()]
    found += [(name, target, "plugmux.extensions") for name, target in extensions]
    return _EntryPoints(_entry_point(name, target, group) for name, target, group in found)


def _entry_point(name: str, target: object, group: str) -> SimpleNamespace:
    distribution = SimpleNamespace(name=f"plugmux-{name}", version="0", requires=())
    return SimpleNamespace(
        name=name, group=group, value=f"{name}:plugin", dist=distribution, load=lambda: target
    )
