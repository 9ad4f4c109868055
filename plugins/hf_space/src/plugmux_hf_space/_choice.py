"""Which endpoint of an app answers a request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from plugmux.errors import InvalidRequestError
from plugmux.events import Notice
from plugmux.model import Task
from plugmux_hf_space._app import App
from plugmux_hf_space._listing import UNREAD
from plugmux_hf_space._settings import Override
from plugmux_hf_space._tasks import Verdict, judge, pick

if TYPE_CHECKING:
    from plugmux.requests import Request

__all__ = ["choose", "unmatched"]


def choose(app: App, override: Override, request: Request, endpoint: str | None) -> Verdict:
    """The named endpoint, else the best for the task. Raises InvalidRequestError that says what there is.

    Of an app that was not read when the model was looked up, `conversational` is only the core's assumption:
    then the best endpoint counts, whatever it does.
    """
    verdicts = judge(app, override, given=request.options.extra_body or {})
    unread = UNREAD in request.model.extra
    assumed = request.task is Task.CONVERSATIONAL and (unread or request.model.source == "named")
    found = pick(verdicts, None if assumed else request.task, endpoint)
    if found is None and unread:
        found = pick(verdicts, None, endpoint)
    if found is None:
        raise InvalidRequestError(
            _problem(verdicts, request.task, endpoint),
            param="task",
            code="no-endpoint",
            remedy=f"plugmux space inspect {app.url} shows why",
        )
    return found


def unmatched(app: App, override: Override) -> list[Notice]:
    """What of an override means nothing in this app: a misspelt name, or the app has changed."""
    endpoints = [endpoint.name for endpoint in app.endpoints if endpoint.name]
    parameters = {slot.name for endpoint in app.endpoints for slot in endpoint.visible}
    wanted = (override.endpoint or "").strip("/")
    found = [f"endpoint: there is no /{wanted}"] if wanted and wanted not in endpoints else []
    for table, names in (("parameters", override.parameters), ("values", override.values)):
        found += [f"{table}: no parameter is called {name!r}" for name in names if name not in parameters]
    return [Notice(code="override-ignored", message=f"of the override, {problem}") for problem in found]


def _problem(verdicts: Sequence[Verdict], task: Task, endpoint: str | None) -> str:
    named = next((v for v in verdicts if v.endpoint.name == endpoint), None)
    if named is not None and named.tasks:
        return f"#{endpoint} does not do {task.value}: {named.why}"
    if named is not None:
        return f"#{endpoint} cannot be called: {named.why}"
    usable = [f"#{v.endpoint.name}: {', '.join(v.tasks)}" for v in verdicts if v.tasks]
    does = "; ".join(usable) or "nothing that plugmux knows"
    asked = f"has no endpoint #{endpoint}" if endpoint else f"does not do {task.value}"
    return f"the app {asked}; it does {does}"
