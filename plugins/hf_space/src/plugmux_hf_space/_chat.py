"""How a request becomes a turn at a chat app: which session, which history, which words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import evolve, field, frozen

from plugmux.events import Notice
from plugmux_hf_space._app import App, Endpoint
from plugmux_hf_space._history import Talk, chatbot_value, flat, injection_of, talk_of
from plugmux_hf_space._job import new_session
from plugmux_hf_space._tasks import History, Verdict

if TYPE_CHECKING:
    from plugmux.requests import Request

__all__ = ["Chat", "prepare"]


@frozen(kw_only=True)
class Chat:
    """What to send. `history` is a Chatbot's value; with an `injection` it goes there, else into the call.

    `state` continues the conversation at this app, None where there is nothing to continue.
    """

    prompt: str
    system: str = ""
    session_hash: str = field(factory=new_session)
    history: Sequence[Any] | None = None
    injection: Endpoint | None = None
    state: dict[str, Any] | None = None
    notices: tuple[Notice, ...] = ()


def prepare(app: App, verdict: Verdict, request: Request, place: str) -> Chat:
    """Plan a turn. Pure but for the name of a new session."""
    talk = talk_of(request.messages)
    match verdict.history:
        case History.SESSION:
            chat = _in_session(app, verdict, request, talk)
        case History.REQUEST:
            chat = _in_request(app, verdict, request, talk)
        case _:
            return _single(verdict, request, talk)
    return evolve(chat, state={"session": chat.session_hash, "run": app.run_id, "place": place})


def _single(verdict: Verdict, request: Request, talk: Talk) -> Chat:
    """Media get the prompt, text apps the whole conversation in one text."""
    if not request.messages:
        return Chat(prompt="")
    if request.task.is_media:
        return Chat(prompt=request.prompt)
    own = "system" in verdict.options
    return Chat(prompt=flat(talk, with_system=not own), system=talk.system if own else "")


def _in_session(app: App, verdict: Verdict, request: Request, talk: Talk) -> Chat:
    known = _known_session(app, request)
    if known is not None and _is_one_turn(request):
        return _worded(verdict, Chat(prompt=talk.prompt, session_hash=known), talk)
    if not talk.earlier:
        return _worded(verdict, Chat(prompt=talk.prompt), talk)
    injection = injection_of(app, verdict)
    if injection is not None:
        history = chatbot_value(app, None, talk.earlier)
        return _worded(verdict, Chat(prompt=talk.prompt, history=history, injection=injection), talk)
    own = "system" in verdict.options
    return Chat(
        prompt=flat(talk, with_system=not own),
        system=talk.system if own else "",
        notices=(
            Notice(
                code="history-flattened",
                message="this app takes no history: the conversation is sent as one text",
            ),
        ),
    )


def _in_request(app: App, verdict: Verdict, request: Request, talk: Talk) -> Chat:
    """The Chatbot's value goes with the call; without a place for text it ends with the prompt."""
    chatbot = next((slot for slot in verdict.endpoint.slots if slot.kind == "chatbot"), None)
    kind = chatbot.component.props.get("type") if chatbot is not None else None
    session = _known_session(app, request) or new_session()
    chat = _worded(verdict, Chat(prompt=talk.prompt, session_hash=session), talk)
    messages = talk.earlier
    if verdict.slot("prompt") is None:
        last = next((m for m in reversed(request.messages) if m.role == "user"), None)
        if last is not None:
            messages = (*messages, evolve(last, content=chat.prompt))
    return evolve(chat, history=chatbot_value(app, kind, messages))


def _worded(verdict: Verdict, chat: Chat, talk: Talk) -> Chat:
    """Rules go where the app has a place for them, else before the conversation's first words."""
    if not talk.system:
        return chat
    if "system" in verdict.options:
        return evolve(chat, system=talk.system)
    if talk.earlier:
        return chat if chat.history is None else evolve(chat, history=_with_rules(chat.history, talk.system))
    return evolve(chat, prompt=f"{talk.system}\n\n{talk.prompt}")


def _with_rules(history: Sequence[Any], system: str) -> list[Any]:
    first = history[0] if history else None
    if not isinstance(first, Mapping):
        return list(history)
    content = first.get("content")
    part = [{"type": "text", "text": f"{system}\n\n"}]
    worded = [*part, *content] if isinstance(content, list) else f"{system}\n\n{content}"
    return [{**first, "content": worded}, *history[1:]]


def _known_session(app: App, request: Request) -> str | None:
    """The session of an earlier turn, if the app still runs as it did then."""
    state = request.state
    if not state or str(state.get("run")) != app.run_id:
        return None
    session = state.get("session")
    return session if isinstance(session, str) and session else None


def _is_one_turn(request: Request) -> bool:
    spoken = [m for m in request.new_messages if m.role not in ("system", "developer")]
    return len(spoken) == 1 and spoken[0].role == "user"
