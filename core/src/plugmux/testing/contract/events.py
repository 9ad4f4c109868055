"""The contract of events: well-formed, complete exactly once, and never more than the service said."""

from __future__ import annotations

import json
from collections.abc import Sequence
from inspect import isawaitable
from typing import Any

from plugmux.errors import ProviderError, UnsupportedOptionError
from plugmux.events import (
    Attempt,
    ConversationState,
    Event,
    Finish,
    FinishReason,
    Notice,
    Preview,
    Progress,
    Reasoning,
    Reset,
    ServedBy,
    Source,
    Sources,
    Text,
    Title,
    ToolCall,
    Usage,
)
from plugmux.media import Media, MediaKind
from plugmux.model import Model
from plugmux.requests import Options
from plugmux.testing import replies
from plugmux.testing.contract.bench import CONTENT, Bench, demand
from plugmux.testing.replies import Close, Hang, Reply
from plugmux.testing.replies import Reset as TearDown

__all__ = ["EventContract", "flaw_of"]

_KINDS = frozenset(Event.__args__) - {Attempt}
LINGER_SECONDS = 4.0


class EventContract(Bench):
    async def test_every_event_is_well_formed(self) -> None:
        async with self.stage() as stage:
            events = await stage.events()
        demand(events, "the stream gave no event at all")
        for event in events:
            flaw = flaw_of(event)
            demand(flaw is None, f"{event!r}: {flaw}")

    async def test_a_complete_answer_has_content_and_one_finish_at_its_end(self) -> None:
        async with self.stage() as stage:
            events = await stage.events()
        finishes = [place for place, event in enumerate(events) if isinstance(event, Finish)]
        demand(len(finishes) == 1, f"{len(finishes)} Finish events instead of one: {events}")
        demand(finishes == [len(events) - 1], f"{events[-1]!r} comes after Finish")
        demand(any(isinstance(event, CONTENT) for event in events), "the complete answer has no content")

    async def test_the_answer_is_the_same_however_its_bytes_travel(self) -> None:
        said = [
            _said(await _events(self, reply))
            for reply in (self.whole(), replies.dribbled(self.whole()), replies.in_one_packet(self.whole()))
        ]
        demand(said[1] == said[0], f"byte by byte the answer is another: {said[1]} for {said[0]}")
        demand(said[2] == said[0], f"in one packet the answer is another: {said[2]} for {said[0]}")

    async def test_content_is_given_as_soon_as_it_is_there(self) -> None:
        if not self.streams:
            return
        async with self.stage(self.part(Hang()), idle=0.5) as stage:
            got, _ = await stage.outcome()
        demand(
            any(isinstance(event, CONTENT) for event in got),
            "half of the answer had come, and none of it was given before the rest",
        )

    async def test_it_finishes_soon_after_the_services_last_word(self) -> None:
        if not self.says_its_end:
            return
        import anyio

        open_end = replies.stream(self.chunks(), after=[Hang()], content_type=self.content_type)
        async with self.stage(open_end) as stage:
            started = anyio.current_time()
            with anyio.move_on_after(LINGER_SECONDS):
                events = await stage.events()
                demand(isinstance(events[-1], Finish), "no Finish after the service's last word")
                return
            waited = anyio.current_time() - started
        demand(False, f"no Finish {waited:.0f} s after the service's last word; stragglers get 2 s")

    async def test_a_cut_answer_is_never_complete(self) -> None:
        for share in (0.0, 0.25, 0.5):
            for name, after in _CUTS.items():
                async with self.stage(self.part(*after, share=share)) as stage:
                    got, error = await stage.outcome()
                where = f"cut by {name} after {share:.0%} of the answer"
                demand(not any(isinstance(event, Finish) for event in got), f"{where}: it still gave Finish")
                typed = error is None or isinstance(error, ProviderError)
                demand(typed, f"{where}: {error!r} is no ProviderError")

    async def test_an_empty_answer_is_never_complete(self) -> None:
        empty = replies.answer(b"", content_type=self.content_type)
        async with self.stage(empty) as stage:
            got, error = await stage.outcome()
        demand(not any(isinstance(event, Finish) for event in got), "an answer without a byte was complete")
        demand(error is None or isinstance(error, ProviderError), f"{error!r} is no ProviderError")

    async def test_no_option_is_dropped_in_silence(self) -> None:
        for name, value in self.options().items():
            async with self.stage() as stage:
                got, error = await stage.outcome(**{name: value})
            sent = b" ".join(request.body + request.path.encode() for request in stage.server.requests)
            noticed = [event for event in got if isinstance(event, Notice) and event.option == name]
            refused = isinstance(error, UnsupportedOptionError)
            demand(
                _found(value, sent) or noticed or refused,
                f"{name}={value!r} was neither sent, nor reported by a Notice(option={name!r}), nor refused",
            )

    async def test_nothing_is_sent_that_was_not_given(self) -> None:
        async with self.stage() as stage:
            await stage.events()
        for request in stage.main_requests:
            for key, value in _pairs(request.body):
                extra = key in _OPTION_NAMES - self.always_sent
                demand(not extra, f"{key}={value!r} was sent, which the caller did not give")
                demand(value is not None, f"{key}=null was sent: None means not given")

    async def test_models_are_well_formed(self) -> None:
        async with self.stage() as stage:
            for wanted in (None, self.model.id):
                models = await _models(stage, wanted)
                _demand_models(models)
        known = getattr(self.plugin, "static_models", ())
        _demand_models(tuple(known({}) if callable(known) else known), "static_models")

    async def test_a_name_that_nobody_knows_is_answered_with_no(self) -> None:
        async with self.stage() as stage:
            models = await _models(stage, "no-such-owner/no-such-model-0")
        demand(not models, f"get_models(wanted=an unknown name) gave {models}")


_CUTS: dict[str, Sequence[replies.Action]] = {
    "the end of the connection": (Close(),),
    "a reset": (TearDown(),),
    "an orderly end that comes too early": (replies.Send(b"0\r\n\r\n"),),
}
_OPTION_NAMES = frozenset(field for field in Options.__annotations__)


async def _events(bench: Bench, reply: Reply) -> list[Event]:
    async with bench.stage(reply) as stage:
        return await stage.events()


async def _models(stage: Any, wanted: str | None) -> tuple[Model, ...]:
    """What get_models gives; nothing where it is not implemented, or where it raises as it may."""
    hooked = stage.bench.hook.get_models(session=stage.session(await stage.credential()), wanted=wanted)
    if hooked is None:
        return ()
    demand(isawaitable(hooked), f"get_models gave {type(hooked).__name__} at once: make it an `async def`")
    try:
        given = await hooked
    except ProviderError:
        return ()
    demand(isinstance(given, Sequence), f"get_models gave {given!r} where a sequence of Model belongs")
    return tuple(given)


def _demand_models(models: tuple[Model, ...], source: str = "get_models") -> None:
    for model in models:
        demand(isinstance(model, Model), f"{source} gave {model!r}, which is no Model")
    keys = [(model.id, model.upstream, model.remote_id) for model in models]
    demand(len(keys) == len(set(keys)), f"{source} gave a model twice: {keys}")


def _said(events: Sequence[Event]) -> dict[str, Any]:
    """What an answer says, however it was cut into events."""
    return {
        "text": "".join(event.text for event in events if isinstance(event, Text)),
        "reasoning": "".join(event.text for event in events if isinstance(event, Reasoning)),
        "arguments": "".join(event.arguments for event in events if isinstance(event, ToolCall)),
        "media": [event.data for event in events if isinstance(event, Media)],
        "finish": [event.reason for event in events if isinstance(event, Finish)],
    }


def _found(value: Any, sent: bytes) -> bool:
    parts = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else [value]
    return all(str(part).encode() in sent for part in parts)


def _pairs(body: bytes) -> list[tuple[str, Any]]:
    """Every key and value of a JSON body, at any depth."""
    try:
        waiting = [json.loads(body)]
    except ValueError:
        return []
    found: list[tuple[str, Any]] = []
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            found += value.items()
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return found


def flaw_of(event: object) -> str | None:
    """What is wrong with an event, or None."""
    if type(event) not in _KINDS:
        return "is no event that a plugin may give"
    match event:
        case Text(text=text):
            return None if _word(text) else "has no text"
        case Reasoning(text=text, status=status):
            fine = isinstance(text, str) and (_word(text) or _word(status))
            return None if fine else "has neither text nor status"
        case ToolCall(index=index, id=id, name=name, arguments=arguments):
            fine = _count(index) and _word_or_none(id) and _word_or_none(name) and isinstance(arguments, str)
            return None if fine else "has a field of a wrong kind"
        case Usage(prompt_tokens=prompt, completion_tokens=completion, total_tokens=total):
            given = [count for count in (prompt, completion, total) if count is not None]
            return None if given and all(map(_count, given)) else "has counts that are none"
        case _:
            return _rarer_flaw_of(event)


def _rarer_flaw_of(event: object) -> str | None:
    match event:
        case Media() as media:
            fine = isinstance(media.kind, MediaKind) and media.size > 0 and "/" in media.mime_type
        case Preview(media=media):
            fine = isinstance(media, Media) and media.size > 0
        case Sources(sources=sources):
            fine = bool(sources) and all(isinstance(s, Source) and _word(s.url) for s in sources)
        case Title(title=title):
            fine = _word(title)
        case Progress() as progress:
            fine = _is_progress(progress)
        case ConversationState(state=state):
            fine = _is_json(state)
        case ServedBy(model=model, upstream=upstream, request_id=request_id):
            fine = all(map(_word_or_none, (model, upstream, request_id)))
        case Notice(code=code, message=message, option=option):
            fine = _word(code) and _word(message) and _word_or_none(option)
        case Finish(reason=reason):
            fine = isinstance(reason, FinishReason)
        case Reset(why=why):
            fine = _word(why)
        case _:
            fine = False
    return None if fine else "has a field that is empty or of a wrong kind"


def _is_progress(progress: Progress) -> bool:
    fraction, position, eta = progress.fraction, progress.position, progress.eta
    return (
        (fraction is None or 0 <= fraction <= 1)
        and (position is None or _count(position))
        and (eta is None or eta >= 0)
        and any(part is not None for part in (fraction, position, eta, progress.stage, progress.message))
    )


def _is_json(value: object) -> bool:
    try:
        return isinstance(value, dict) and bool(json.dumps(value))
    except (TypeError, ValueError):
        return False


def _word(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _word_or_none(value: object) -> bool:
    return value is None or isinstance(value, str)


def _count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
