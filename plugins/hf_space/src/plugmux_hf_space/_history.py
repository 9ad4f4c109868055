"""Messages in the shapes that chat apps take: flat, for a Chatbot, for a ChatInterface's session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import evolve, frozen

from plugmux.messages import Message
from plugmux_hf_space._app import App, Endpoint
from plugmux_hf_space._tasks import Verdict

__all__ = ["Talk", "chatbot_value", "flat", "injection_of", "talk_of", "with_rules"]


@frozen(kw_only=True)
class Talk:
    """A conversation parted for a chat app: what to say now, what was said before, and the rules."""

    prompt: str
    earlier: tuple[Message, ...] = ()
    system: str = ""


def talk_of(messages: Sequence[Message]) -> Talk:
    """Part messages: the last user message is the prompt, system messages are the rules."""
    system = "\n\n".join(m.text for m in messages if m.role in ("system", "developer") and m.text)
    spoken = [m for m in messages if m.role not in ("system", "developer") and m.text]
    if spoken and spoken[-1].role == "user":
        return Talk(prompt=spoken[-1].text, earlier=tuple(spoken[:-1]), system=system)
    return Talk(prompt="", earlier=tuple(spoken), system=system)


def with_rules(talk: Talk) -> Talk:
    """The talk with its rules before the user's first words, for an app that has no place for rules."""
    if not talk.system:
        return talk
    first = next((i for i, message in enumerate(talk.earlier) if message.role == "user"), None)
    if first is None:
        return evolve(talk, prompt=f"{talk.system}\n\n{talk.prompt}")
    begun = evolve(talk.earlier[first], content=f"{talk.system}\n\n{talk.earlier[first].text}")
    return evolve(talk, earlier=(*talk.earlier[:first], begun, *talk.earlier[first + 1 :]))


def flat(talk: Talk, *, with_system: bool = True) -> str:
    """One text for an app that takes no history."""
    parts = [talk.system] if with_system and talk.system else []
    if not talk.earlier:
        return "\n\n".join([*parts, talk.prompt])
    names = {"user": "User", "assistant": "Assistant", "tool": "Tool"}
    lines = [f"{names.get(m.role, m.role)}: {m.text}" for m in talk.earlier]
    return "\n\n".join([*parts, *lines, f"User: {talk.prompt}", "Assistant:"])


def chatbot_value(app: App, kind: str | None, messages: Sequence[Message]) -> list[Any]:
    """The value of a Chatbot. gradio 6 wants the content as a list of parts, 4 and 5 as text; a Chatbot of
    `type` tuples (up to 5) wants pairs (recorded)."""
    spoken = [m for m in messages if m.text]
    if kind == "tuples" and app.major < 6:
        return _pairs(spoken)
    return [{"role": _role(m), "content": _content(app, m.text)} for m in spoken]


def _role(message: Message) -> str:
    return "assistant" if message.role == "assistant" else "user"


def _content(app: App, text: str) -> Any:
    return [{"type": "text", "text": text}] if app.major >= 6 else text


def _pairs(messages: Sequence[Message]) -> list[list[str | None]]:
    pairs: list[list[str | None]] = []
    for message in messages:
        if message.role == "assistant" and pairs and pairs[-1][1] is None:
            pairs[-1][1] = message.text
        elif message.role == "assistant":
            pairs.append([None, message.text])
        else:
            pairs.append([message.text, None])
    return pairs


def injection_of(app: App, verdict: Verdict) -> Endpoint | None:
    """The page's own event that puts a Chatbot's value into the history State of a ChatInterface.

    gradio 5 and 6 have one (undocumented, seen in recorded descriptions), 4.44 has none.
    """
    states = {slot.component.id for slot in verdict.endpoint.slots if slot.component.is_state}
    for endpoint in app.endpoints:
        takes = [slot.kind for slot in endpoint.slots]
        fills = {output.id for output in endpoint.outputs}
        if endpoint.runs and takes == ["chatbot"] and fills & states:
            return endpoint
    return None
