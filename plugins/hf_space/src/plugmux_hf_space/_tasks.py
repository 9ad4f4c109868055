"""Which endpoint of an app does which task, and why: pure rules over its description.

The output decides what an endpoint makes, its inputs decide the rest. Each verdict keeps its reasons, so
that `plugmux space inspect` can show them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import Enum

from attrs import evolve, field, frozen

from plugmux.model import Task
from plugmux_hf_space._app import App, Component, Endpoint, Slot
from plugmux_hf_space._settings import Override
from plugmux_hf_space._synonyms import FILE_KINDS, TEXT_KINDS, option_of

__all__ = ["History", "Verdict", "fits", "judge", "pick"]


class History(str, Enum):
    """Where a chat's history lives."""

    NONE = "none"
    SESSION = "session"
    REQUEST = "request"


@frozen(kw_only=True)
class Verdict:
    """What an endpoint is good for.

    `tasks` is empty for one that cannot be called, and `why` says so. `options` maps an option's name to
    the index of the slot that takes it, `answer` are the indices of the outputs that hold the answer.
    """

    endpoint: Endpoint
    tasks: tuple[Task, ...] = ()
    why: str = ""
    answer: tuple[int, ...] = ()
    options: Mapping[str, int] = field(factory=dict)
    history: History = History.NONE
    score: int = 0

    @property
    def answer_kind(self) -> str:
        """The kind of the component that holds the answer."""
        return self.endpoint.outputs[self.answer[0]].kind if self.answer else ""

    def slot(self, option: str) -> Slot | None:
        """The slot that takes an option."""
        place = self.options.get(option)
        return None if place is None else self.endpoint.slots[place]


def judge(app: App, override: Override | None = None, *, given: Collection[str] = ()) -> tuple[Verdict, ...]:
    """A verdict on every endpoint, the best usable one first.

    `given` are the app's own parameters that the caller fills, by name.
    """
    override = override or Override()
    verdicts = [_verdict(app, endpoint, override, given) for endpoint in app.endpoints if endpoint.name]
    return tuple(sorted(verdicts, key=lambda v: (not v.tasks, -v.score, v.endpoint.id)))


def pick(verdicts: Sequence[Verdict], task: Task | None, endpoint: str | None = None) -> Verdict | None:
    """The endpoint to call: the named one, else the best for the task, else (no task) the best."""
    usable = [v for v in verdicts if v.tasks]
    if endpoint is not None:
        usable = [v for v in usable if v.endpoint.name == endpoint]
    return next((v for v in usable if task is None or fits(v, task)), None)


def fits(verdict: Verdict, task: Task) -> bool:
    """Whether a verdict's endpoint does a task; what answers in text stands in for other text tasks."""
    return task in verdict.tasks or (task in _TEXT and bool(_TEXT.intersection(verdict.tasks)))


_TEXT = frozenset({Task.CONVERSATIONAL, Task.TEXT_GENERATION, Task.IMAGE_TEXT_TO_TEXT})
_HELPER = re.compile(
    r"_?(on_|handle_|update_|prepare_|load_|clear|reset|lambda|stop|toggle|set_|get_|like|vote|undo|retry"
    r"|delete|unnamed|check_|show_|hide_|enable_|disable_|change_|swap_|init_|on$|load$|update$)"
)
_QUIET = frozenset({"change", "load", "select", "input", "clear", "upload", "unload", "tick", "edit", "blur"})
_MEDIA = {
    "video": "video",
    "audio": "audio",
    "image": "image",
    "gallery": "image",
    "imageslider": "image",
    "imageeditor": "image",
}
_TEXTS = frozenset({"textbox", "markdown", "html", "code", "json", "highlightedtext", "api"})
_COUNTED = frozenset({"image", "video", "audio"})
_RANK = ("video", "audio", "image", "chatbot", "text")


def _verdict(app: App, endpoint: Endpoint, override: Override, given: Collection[str]) -> Verdict:
    chosen = override.endpoint is not None and override.endpoint.strip("/") == endpoint.name
    reason = _closed(endpoint) or (None if chosen else _helper(app, endpoint))
    if reason is not None:
        return Verdict(endpoint=endpoint, why=reason)
    kind, answer = _answer(endpoint)
    options = _options(endpoint, override, counts=kind in _COUNTED)
    verdict = Verdict(endpoint=endpoint, answer=answer, options=options)
    verdict = _judged(app, verdict, kind, _missing(verdict, {*override.values, *given}))
    if chosen and override.task:
        verdict = evolve(verdict, tasks=(Task(override.task),), why=f"{verdict.why}; the task is overridden")
    return evolve(verdict, score=_score(verdict) + (1000 if chosen else 0)) if verdict.tasks else verdict


def _closed(endpoint: Endpoint) -> str | None:
    if not endpoint.runs:
        return "runs in the browser only"
    if not endpoint.public:
        return "not public"
    return None if endpoint.described else "the app does not describe it"


def _helper(app: App, endpoint: Endpoint) -> str | None:
    if _HELPER.match(endpoint.name):
        return f"a helper, by its name {endpoint.name!r}"
    if endpoint.triggers and endpoint.triggers <= _QUIET:
        return f"a helper: started by {', '.join(sorted(endpoint.triggers))} only"
    kinds = [slot.kind for slot in endpoint.visible]
    outputs = [output.kind for output in endpoint.outputs if not output.hidden]
    if len(kinds) == 1 and kinds == outputs and kinds[0] in FILE_KINDS:
        return f"passes its {kinds[0]} on"
    if _is_first_step(app, endpoint):
        return "the first step of a chat: the next one answers"
    return None


def _is_first_step(app: App, endpoint: Endpoint) -> bool:
    """`add_user` of a hand-made chat: it only puts the message into the Chatbot, the next one answers."""
    if not _has_chatbot(endpoint):
        return False
    after = [e for e in app.endpoints if e.after == endpoint.id and e.runs]
    return any(_has_chatbot(e) and not _texts_in(e) for e in after)


def _has_chatbot(endpoint: Endpoint) -> bool:
    return _place(endpoint.outputs, "chatbot") is not None and any(
        slot.kind == "chatbot" for slot in endpoint.slots
    )


def _texts_in(endpoint: Endpoint) -> list[Slot]:
    return [slot for slot in endpoint.visible if slot.kind in TEXT_KINDS]


def _place(outputs: Iterable[Component], kind: str) -> int | None:
    return next((i for i, output in enumerate(outputs) if output.kind == kind), None)


def _answer(endpoint: Endpoint) -> tuple[str, tuple[int, ...]]:
    """The kind of answer, and which outputs hold it. A component that is also an input is no text answer."""
    found: dict[str, list[int]] = {}
    inputs = {slot.component.id for slot in endpoint.slots}
    for i, output in enumerate(endpoint.outputs):
        if output.hidden:
            continue
        kind = _MEDIA.get(output.kind) or ("text" if output.kind in _TEXTS else output.kind)
        if kind == "text" and output.id in inputs:
            continue
        found.setdefault(kind, []).append(i)
    if "chatbot" in found and _has_chatbot(endpoint):
        return "chatbot", tuple(found["chatbot"][:1])
    kind = next((kind for kind in _RANK if kind in found), "")
    return kind, tuple(found.get(kind, ())[:1])


def _options(endpoint: Endpoint, override: Override, *, counts: bool) -> dict[str, int]:
    """Which slot takes which option: by the override, by name, then by component.

    `counts`: whether `n` means how many are made.
    """
    found: dict[str, int] = {}
    for i, slot in enumerate(endpoint.slots):
        if slot.name is None or slot.name in override.values:
            continue
        option = override.parameters.get(slot.name) or option_of(slot)
        if option is not None and (option != "n" or counts):
            found.setdefault(option, i)
    free = [(i, slot) for i, slot in enumerate(endpoint.slots) if slot.name and i not in found.values()]
    for option, kinds in (("prompt", TEXT_KINDS), ("image", {"image"}), ("audio", {"audio"})):
        if option not in found:
            place = next((i for i, slot in free if slot.kind in kinds and _is_free(option, slot)), None)
            if place is not None:
                found[option] = place
    prompt = found.get("prompt")
    if prompt is not None and endpoint.slots[prompt].kind == "multimodaltextbox":
        found.setdefault("image", prompt)
    return found


def _is_free(option: str, slot: Slot) -> bool:
    """A text with a default of its own is a setting, and not where the prompt goes."""
    return option != "prompt" or not (slot.has_default and slot.default)


def _judged(app: App, verdict: Verdict, kind: str, missing: str | None) -> Verdict:
    endpoint, options = verdict.endpoint, verdict.options
    if kind == "chatbot" and _has_chatbot(endpoint):
        why = "Chatbot in and out: the history goes with the request"
        return _chat(verdict, History.REQUEST, why, missing)
    if app.mode == "chat_interface" and "prompt" in options and _has_state(endpoint):
        why = "ChatInterface: the app keeps the history by session"
        return _chat(verdict, History.SESSION, why, missing)
    if not kind or kind not in _RANK:
        outputs = ", ".join(output.kind for output in endpoint.outputs if not output.hidden)
        return evolve(verdict, why=f"no media and no text comes out ({outputs or 'nothing'})")
    tasks, why = _tasks(verdict, kind)
    if tasks and missing:
        return evolve(verdict, why=f"{why}, but {missing}")
    return evolve(verdict, tasks=tasks, why=why)


def _chat(verdict: Verdict, history: History, why: str, missing: str | None) -> Verdict:
    prompt = verdict.slot("prompt")
    tasks = [Task.CONVERSATIONAL]
    if prompt is not None and prompt.kind == "multimodaltextbox":
        tasks.append(Task.IMAGE_TEXT_TO_TEXT)
        why = f"{why}; its messages may hold files"
    if missing:
        return evolve(verdict, why=f"{why}, but {missing}")
    return evolve(verdict, tasks=tuple(tasks), history=history, why=why)


def _has_state(endpoint: Endpoint) -> bool:
    return any(slot.component.is_state for slot in endpoint.slots)


def _tasks(verdict: Verdict, kind: str) -> tuple[tuple[Task, ...], str]:
    takes = verdict.options
    image = verdict.slot("image")
    optional = image is not None and image.has_default and "prompt" in takes
    told = f"{verdict.answer_kind} comes out"
    match kind:
        case "video" | "image":
            made = Task.TEXT_TO_VIDEO if kind == "video" else Task.TEXT_TO_IMAGE
            changed = Task.IMAGE_TO_VIDEO if kind == "video" else Task.IMAGE_TO_IMAGE
            if image is None:
                found = (made,) if "prompt" in takes else ()
                return found, f"{told}, text goes in" if found else f"{told}, and no prompt goes in"
            if optional:
                return (made, changed), f"{told}, text goes in, an image may"
            return (changed,), f"{told}, an image goes in"
        case "audio":
            if "audio" in takes and "prompt" not in takes:
                return (), "audio in, audio out: not a task of plugmux"
            found = (Task.TEXT_TO_SPEECH,) if "prompt" in takes else ()
            return found, f"{told}, text goes in" if found else f"{told}, and no text goes in"
    return _text_tasks(takes, told)


def _text_tasks(takes: Mapping[str, int], told: str) -> tuple[tuple[Task, ...], str]:
    if "audio" in takes:
        return (Task.AUTOMATIC_SPEECH_RECOGNITION,), f"{told}, audio goes in"
    if "image" in takes:
        return (Task.IMAGE_TEXT_TO_TEXT,), f"{told}, an image goes in"
    if "prompt" in takes:
        return (Task.TEXT_GENERATION,), f"{told}, text goes in"
    return (), f"{told}, and neither text nor media goes in"


def _missing(verdict: Verdict, given: Collection[str]) -> str | None:
    """A parameter that nobody can fill: no default, and no option that goes there."""
    mapped = set(verdict.options.values())
    for i, slot in enumerate(verdict.endpoint.slots):
        if slot.name is None or slot.has_default or i in mapped or slot.kind in _FILLED:
            continue
        if slot.name not in given:
            return f"the parameter {slot.name!r} has no default and no known meaning: extra_body may give it"
    return None


_FILLED = frozenset({"chatbot", "checkbox", "checkboxgroup"})


def _score(verdict: Verdict) -> int:
    """A prompt without a default counts most, then known parameters, then how it is started."""
    prompt = verdict.slot("prompt")
    endpoint = verdict.endpoint
    score = 100 if prompt is not None and not (prompt.has_default and prompt.default) else 0
    score += 200 if verdict.history is not History.NONE else 0
    score += 10 * len(verdict.options)
    score += 5 if {"click", "submit"} <= endpoint.triggers else 0
    score += 2 if endpoint.streams else 0
    if verdict.answer and endpoint.outputs[verdict.answer[0]].props.get("streaming"):
        score -= 50  # a sound in pieces: an endpoint that gives it whole is better
    return score
